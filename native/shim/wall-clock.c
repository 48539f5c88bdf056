#define _GNU_SOURCE
#include "wall-clock.h"

#include <stdio.h>
#include <time.h>

void wall_clock_text(char text[static WALL_CLOCK_TEXT]) {
  struct timespec now;
  struct tm utc;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  size_t length = strftime(text, WALL_CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(text + length, WALL_CLOCK_TEXT - length, ".%09ldZ", now.tv_nsec);
}

long long monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
