#pragma once
#include <stdbool.h>
#include <termios.h>

// Our own stdio on one side, the master of a container's pty on the other.
struct relay {
  int master;
  bool input_open, raw;
  struct termios saved;
  unsigned char pending[4096];  // read from stdin, not yet taken by the pty
  unsigned long pending_length;
};

// Puts our terminal, where stdin is one, into raw mode, and gives the pty its size.
void relay_open(struct relay *relay, int master);
// The pty takes the size of our terminal.
void relay_resize(const struct relay *relay);
// Moves what can be moved until `wake` (a fd to poll) is readable.
void relay_until(struct relay *relay, int wake);
// Passes on what the pty still holds, and gives our terminal back as it was.
void relay_close(struct relay *relay);
