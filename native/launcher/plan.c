#include "plan.h"

#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x314c5047, HEAD = 8 };

static uint32_t u32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static const char *signature_of(uint16_t code) {
  switch (code) {
#define X(name, number, signature) \
  case number:                     \
    return signature;
    PLAN_OPERATIONS(X)
#undef X
  }
  return NULL;
}

long plan_count(const uint8_t *bytes, size_t length) {
  if (length < HEAD || u32(bytes) != MAGIC) return -1;
  uint32_t count = u32(bytes + 4);
  // Every operation takes at least its head.
  return count > PLAN_MAX_OPS || count > (length - HEAD) / HEAD ? -1 : (long)count;
}

// One argument at `*at`, which moves past it and never beyond `end`.
static bool decode_arg(char kind, const uint8_t **at, const uint8_t *end, struct plan_arg *arg) {
  size_t left = (size_t)(end - *at);
  if (kind == 'n') {
    if (left < 8) return false;
    memcpy(&arg->number, *at, 8);
    *at += 8;
    return true;
  }
  if (left < 4 || u32(*at) > left - 4) return false;
  arg->length = u32(*at);
  arg->bytes = (const char *)*at + 4;
  *at += 4 + arg->length;
  switch (kind) {
    case 's':
      return arg->length > 0 && memchr(arg->bytes, 0, arg->length) == arg->bytes + arg->length - 1;
    case 'l':
      return arg->length == 0 || arg->bytes[arg->length - 1] == 0;
    default:
      return kind == 'b';
  }
}

bool plan_decode(const uint8_t *bytes, size_t length, struct plan *plan) {
  long count = plan_count(bytes, length);
  if (count < 0) return false;
  const uint8_t *at = bytes + HEAD, *end = bytes + length;
  for (long i = 0; i < count; i++) {
    struct plan_op *op = &plan->ops[i];
    if ((size_t)(end - at) < HEAD) return false;
    *op = (struct plan_op){.code = (uint16_t)(at[0] | at[1] << 8)};
    const char *signature = signature_of(op->code);
    uint32_t size = u32(at + 4);
    at += HEAD;
    if (signature == NULL || size > (size_t)(end - at)) return false;
    const uint8_t *op_end = at + size;
    for (int a = 0; signature[a] != 0; a++)
      if (!decode_arg(signature[a], &at, op_end, &op->args[a])) return false;
    if (at != op_end) return false;
  }
  plan->count = (size_t)count;
  return at == end;
}

const struct plan_op *plan_find(const struct plan *plan, enum plan_code code) {
  for (size_t i = 0; i < plan->count; i++)
    if (plan->ops[i].code == code) return &plan->ops[i];
  return NULL;
}

const char *plan_next(const struct plan_arg *list, const char *at) {
  const char *next = at == NULL ? list->bytes : at + strlen(at) + 1;
  return next < list->bytes + list->length ? next : NULL;
}

char **plan_strings(const struct plan_arg *list) {
  size_t count = 0;
  for (const char *s = plan_next(list, NULL); s != NULL; s = plan_next(list, s)) count++;
  char **strings = calloc(count + 1, sizeof *strings);
  if (strings == NULL) return NULL;
  size_t i = 0;
  for (const char *s = plan_next(list, NULL); s != NULL; s = plan_next(list, s)) strings[i++] = (char *)s;
  return strings;
}
