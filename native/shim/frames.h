// Frames of the control socket; src/runtime/shim-protocol.ts explains them.
#pragma once
#include <stdint.h>

#include "wall-clock.h"

enum request_type {
  REQUEST_CREATE = 1,
  REQUEST_START,
  REQUEST_ATTACH,
  REQUEST_STDIN,
  REQUEST_STDIN_END,
  REQUEST_RESIZE,
  REQUEST_KILL,
  REQUEST_WAIT,
  REQUEST_STATE,
  REQUEST_DETACH,
};
enum reply_type {
  REPLY_OK = 64,
  REPLY_ERROR,
  REPLY_CREATED,
  REPLY_STARTED,
  REPLY_OUTPUT,
  REPLY_OUTPUT_END,
  REPLY_EXITED,
};

struct frame {
  uint32_t length;  // of the payload
  uint8_t type;
  uint8_t stream;
  uint16_t id;
};
enum { FRAME_MAX_CREATE = 16 * 1024 * 1024, FRAME_MAX = 1024 * 1024 };

struct process_payload {
  uint32_t pid, state;
  uint64_t start_time;
};

struct exit_payload {
  uint32_t code, signal, oom;
  char at[WALL_CLOCK_TEXT];  // to its end, without a NUL
};
