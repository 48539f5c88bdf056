#pragma once
#include <stdbool.h>

// Sends the pty's master to a unix socket, as `--console-socket` of an OCI runtime does. False with errno.
bool send_console(const char *path, int master);
