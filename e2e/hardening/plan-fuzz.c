// Damages a plan in many ways, the same ways from the same seed, and decodes each: plan-fuzz SEED ROUNDS < plan. Built with
// the sanitizers, which end it where the decoder reads a byte that is not the plan's. Prints how many were taken as plans.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

static uint64_t state;

static uint64_t random_below(uint64_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return below == 0 ? 0 : state % below;
}

static const uint32_t edges[] = {0, 1, 2, 7, 8, 0x7f, 0xff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};

static size_t damage(uint8_t *bytes, size_t length, size_t room) {
  for (uint64_t times = 1 + random_below(4); times > 0 && length > 0; times--) {
    size_t at = (size_t)random_below(length);
    switch (random_below(6)) {
      case 0:
        bytes[at] ^= (uint8_t)(1U << random_below(8));
        break;
      case 1:
        bytes[at] = (uint8_t)random_below(256);
        break;
      case 2:
        if (at + 4 <= length) memcpy(bytes + at, &edges[random_below(sizeof edges / sizeof *edges)], 4);
        break;
      case 3:
        length = at;
        break;
      case 4: {
        size_t count = (size_t)random_below(16);
        if (length + count > room) break;
        memmove(bytes + at + count, bytes + at, length - at);
        length += count;
        break;
      }
      default: {
        size_t count = (size_t)random_below(length - at);
        memmove(bytes + at, bytes + at + count, length - at - count);
        length -= count;
      }
    }
  }
  return length;
}

// Reads all that the launcher would: every byte of every argument, every string to its end.
static uint64_t use(const struct plan *plan) {
  uint64_t sum = 0;
  for (size_t i = 0; i < plan->count; i++)
    for (int a = 0; a < PLAN_MAX_ARGS; a++) {
      const struct plan_arg *arg = &plan->ops[i].args[a];
      sum += arg->number;
      for (uint32_t b = 0; arg->bytes != NULL && b < arg->length; b++) sum += (uint8_t)arg->bytes[b];
      if (arg->bytes == NULL || arg->length == 0 || arg->bytes[arg->length - 1] != 0) continue;
      for (const char *s = plan_next(arg, NULL); s != NULL; s = plan_next(arg, s)) sum += strlen(s);
      free(plan_strings(arg));
    }
  return sum + (plan_find(plan, OP_EXEC) != NULL);
}

int main(int argc, char **argv) {
  static uint8_t whole[1 << 20], work[2 << 20];
  size_t length = fread(whole, 1, sizeof whole, stdin), taken = 0;
  uint64_t sum = 0;
  if (argc != 3) return 2;
  state = strtoull(argv[1], NULL, 10) * 0x9e3779b97f4a7c15ULL + 1;
  for (long rounds = strtol(argv[2], NULL, 10); rounds >= 0; rounds--) {
    memcpy(work, whole, length);
    // The undamaged one comes last.
    size_t size = rounds == 0 ? length : damage(work, length, sizeof work);
    uint8_t *exact = malloc(size + (size == 0));
    memcpy(exact, work, size);
    long count = plan_count(exact, size);
    if (count >= 0) {
      struct plan plan = {.ops = calloc((size_t)count + 1, sizeof *plan.ops)};
      if (plan_decode(exact, size, &plan)) {
        taken++;
        sum += use(&plan);
      }
      free(plan.ops);
    }
    free(exact);
  }
  printf("%zu %s\n", taken, sum == 0 ? "empty" : "read");
  return 0;
}
