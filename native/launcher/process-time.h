#pragma once
#include <stdint.h>
#include <sys/types.h>

// When a process began, in clock ticks since boot (proc(5): /proc/pid/stat, field 22). 0 where there is none.
uint64_t process_start_time(pid_t pid);
