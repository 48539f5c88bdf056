#pragma once
#include "launcher/launcher.h"

// Lets the process exec at once (unless a start fifo does), forwards signals to it and returns its exit code, 128 + signal.
// With `terminal` its pty is ours to serve: our stdio is passed through it, and it follows our terminal's size.
int foreground(const struct plan *plan, struct launched *launched, bool terminal);
// Ends a process that nobody will start, and reaps it.
void kill_launched(struct launched *launched);
