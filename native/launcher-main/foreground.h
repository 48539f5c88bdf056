#pragma once
#include "launcher/launcher.h"

// Lets the process exec at once (unless a start fifo does), forwards signals to it and returns its exit code, 128 + signal.
int foreground(const struct plan *plan, struct launched *launched);
// Ends a process that nobody will start, and reaps it.
void kill_launched(struct launched *launched);
