#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "starter.h"

// This program is ROOT/build/gantry, whatever links led here.
bool find_installation(struct installation *here) {
  ssize_t length = readlink("/proc/self/exe", here->root, sizeof here->root - 1);
  if (length < 0) return false;
  here->root[length] = 0;
  for (int levels = 0; levels < 2; levels++) {
    char *slash = strrchr(here->root, '/');
    if (slash == NULL) return false;
    *slash = 0;
  }
  int written = snprintf(here->compiled, sizeof here->compiled, "%s/build/bin/gantry", here->root);
  return written > 0 && (size_t)written < sizeof here->compiled;
}
