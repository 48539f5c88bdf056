// One process, its stdio, its clients. main.c is the table of contents.
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "bytes.h"
#include "frames.h"
#include "launcher/launcher.h"
#include "log.h"
#include "wall-clock.h"

enum { MAX_CLIENTS = 64, CLIENT_OUT_LIMIT = 1024 * 1024, STDIN_LIMIT = 64 * 1024, CHUNK = 64 * 1024, NOBODY = -1 };
enum stdin_mode { STDIN_NULL, STDIN_OPEN, STDIN_ONCE };
enum process_state { PROCESS_CREATED, PROCESS_RUNNING, PROCESS_EXITED };

struct client {
  int fd;  // -1: the place is free
  bool attached;
  bool leaving;            // told all; dropped once it closes its side
  struct bytes in, out;
  int wait_id, start_id;   // of the request that waits for an answer, or NOBODY
  long long moved_at;      // when it last took a byte, or had none to take
};

struct shim {
  struct plan plan;
  const char *path;  // of the task's directory
  int directory, listener;
  struct client clients[MAX_CLIENTS];

  bool terminal;
  enum stdin_mode stdin_mode;
  unsigned short rows, columns;
  long long drain_ms, stall_ms;
  const struct plan_op *command;
  struct log log;

  pid_t pid;
  int pidfd, oom_events;
  int status;                // of the launcher's child until it has execed, or -1
  uint64_t start_time;
  enum process_state state;
  bool start_asked;
  int child_stdio[3];        // the process's ends, until it has them
  int master;                // of the pty, or -1
  int output[LOG_STREAMS];   // [1] stdout or the pty, [2] stderr; -1: ended
  int input;                 // -1: closed
  struct bytes stdin_queue;
  bool stdin_ended;
  long long terminal_retry;  // not before this time: nobody has the terminal open

  int exit_code, exit_signal;
  bool out_of_memory;
  char exited_at[WALL_CLOCK_TEXT];
  long long ended_at;        // on the monotonic clock
  long long quiet_since;     // last output after the exit
  bool finished;             // drained, written, told
};

// What a request or a step could not do; the payload of an `error` reply.
struct failure {
  struct status_packet packet;
  size_t length;
};

// setup.c: from the create request to a directory, a listening socket, a log and stdio. False with `failure`.
bool setup(struct shim *shim, const uint8_t *payload, size_t length, struct failure *failure);
bool fail(struct failure *failure, int error, const char *detail);
// process.c
bool process_create(struct shim *shim, struct failure *failure);
bool process_start(struct shim *shim, struct failure *failure);
void process_status(struct shim *shim);   // the launcher's child has said something, or has execed
void process_exited(struct shim *shim);   // reaps it
struct process_payload process_payload(const struct shim *shim);
// command.c: the command mode
bool command_create(struct shim *shim, struct failure *failure);
bool command_start(struct shim *shim, struct failure *failure);
// stdio.c
bool stdio_open(struct shim *shim, struct failure *failure);
void stdio_take_master(struct shim *shim, int master);
void stdio_close_child_ends(struct shim *shim);
bool stdio_blocked(const struct shim *shim);  // a client holds the output up
void stdio_read(struct shim *shim, int stream);
void stdio_write(struct shim *shim);
bool stdio_drained(const struct shim *shim, long long now);
// exit-file.c: exit.json, and whether the OOM killer struck
int exit_file_write(struct shim *shim);
void exit_file_sync(const struct shim *shim, int fd);
bool oom_killed(const struct shim *shim);
// clients.c
void clients_init(struct shim *shim, int first);
bool clients_any(const struct shim *shim);
void client_accept(struct shim *shim);
void client_read(struct shim *shim, struct client *client);
void client_flush(struct client *client);
void client_drop(struct client *client);
void client_reply(struct client *client, int id, enum reply_type type, int stream, const void *payload, size_t length);
void clients_output(struct shim *shim, int stream, const uint8_t *data, size_t size);
void clients_drop_stalled(struct shim *shim, long long now);
// requests.c: one whole frame. False where the client makes no sense and is dropped.
bool request_handle(struct shim *shim, struct client *client, const struct frame *frame, const uint8_t *payload);
void requests_tell_exit(struct shim *shim);
// loop.c: until the process has ended and nobody is left to be told
void loop(struct shim *shim);
// spawner.c: forks a shim for each client; returns in the shim, with its first client.
int spawn_shims(int engine);
