#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../standby.h"

enum {
  MAX_SPARES = 64,   // those that serve included
  READY_SPARES = 2,  // the next command of a script finds one while the other is replaced
  SETTLE_MS = 50,    // a new one is not made while the command that needs one begins
  KEEP_MS = 5000,    // after the last command
  PATIENCE_MS = 200, // for what a client that has connected has to send
};

enum spare_state { FREE, STARTING, READY, SERVING };

// A process that has the command line loaded, from its start to the end of the one command it runs.
struct spare {
  enum spare_state state;
  pid_t pid;
  int control;    // its fd 3
  int connection; // of the starter it serves; -1: none, or gone
};

struct standby {
  int engine, listener, signals;
  const char *program;
  struct standby_request loaded; // the program that the spares run, as a request names it
  struct spare spares[MAX_SPARES];
  long long spawn_at; // when the next may be started, 0: none is wanted
  long long keep_until;
  bool ending;
};

long long now_ms(void);

// spares.c
void spares_spawn(struct standby *standby, long long now);
void spares_reap(struct standby *standby, long long now);
void spare_started(struct spare *spare);
void spare_abandoned(struct spare *spare);
void spares_retire(struct standby *standby);
int spares_count(const struct standby *standby, enum spare_state state);

// serve.c
void serve_next(struct standby *standby, long long now);

// circumstances.c: whether a process stands where this one does, so that neither a command nor who looks at what it did could
// tell who ran it.
bool same_circumstances(pid_t other);
