#pragma once
#include "launcher/launcher.h"

// Lets a process that waits for its start exec; says on stderr why it could not be run, as a shell would.
void start_now(int status);
// Forwards signals to the process until it ends; returns its exit code, or 128 + signal. With `terminal` its pty is ours to
// serve: our stdio is passed through it, and it follows our terminal's size.
int foreground(struct launched *launched, bool terminal);
// Ends a process that nobody will start, and reaps it.
void kill_launched(struct launched *launched);
