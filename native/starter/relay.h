#pragma once
#include <sys/types.h>

// Says go, passes signals on to the spare `pid` and ends as it ends. All signals are blocked. Returns only where the spare
// was gone before it could begin.
void relay(int connection, pid_t pid);
