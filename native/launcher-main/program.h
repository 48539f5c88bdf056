#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "plan.h"

// The program that decides, and how it is run.
struct program {
  char **words;  // its command line
  int own;       // how many of them are not its caller's
  pid_t pid;
};

#define PROGRAM_SELF "gantry-launcher"

// The words to run ourselves by from the mount that nobody can write: from there our place, and with it the program's, can
// no longer be told. NULL where there is no program; stderr says so.
char **program_words(int argc, char **argv);
// The program of those words.
void program_take(struct program *program, char **argv);
// Descriptors that we were given beside stdio are for the process: the program does not get them, and is told how many
// there are, one after the other from the third on (GANTRY_GIVEN_FDS).
void program_set_given_aside(void);
// Those below `first` go to the process after all.
void program_give(unsigned first);
// Runs it, with its end of the control socket (GANTRY_LAUNCHER). It does not outlive us. False with errno.
bool program_start(struct program *program, int socket);
// Waits for its end.
int program_wait(const struct program *program);
// The exit code of one who ended so; where a signal was what ended it, we end of it too.
int program_end(int status);
// Runs it once more, with other words of the caller, to the end.
void program_again(const struct program *program, const struct plan_arg *words);
