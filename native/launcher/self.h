#pragma once
#include <stdbool.h>

// CVE-2019-5736: a container can make this program run itself inside it and get hold of /proc/self/exe. So the program
// executes itself again from a read-only mount that is attached nowhere, or, where we may not mount, from a sealed copy in
// memory; nobody can write through either. Returns true in the program that runs from there, false with errno where that
// could not be done.
bool run_from_read_only_mount(char **argv, const char *name);
