#include "complain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void complain(const char *doing, const char *what) {
  int error = errno;
  fprintf(stderr, "gantry-shim: %s: %s: %s\n", doing, what, strerror(error));
  errno = error;
}
