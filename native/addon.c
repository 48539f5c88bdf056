// The one N-API addon: a system call by number. All policy and all struct layouts are in TypeScript (src/linux).
//
//   call(nr, ...up to 6 args) -> number   >= 0 the result, < 0 the negated errno. Runs on the calling thread.
//   callAsync(nr, ...args) -> Promise     the same on a libuv pool thread, for calls that block.
//   callInNamespace(nsFd, nr, ...args)    the same on a scratch thread that first setns()es into nsFd (socket, open_tree).
//   addressOf(buffer) -> bigint           where a buffer's bytes are, for structs that hold pointers.
//
// An argument is a number, a bigint, a string (passed as a NUL-terminated copy), a Buffer/TypedArray (its bytes) or null (0).
#define _GNU_SOURCE
#include <errno.h>
#include <node_api.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_ARGS = 6 };

struct request {
  int ns_fd;
  long nr;
  long args[MAX_ARGS];
  char *strings[MAX_ARGS];
  long result;
  napi_ref refs[MAX_ARGS];
  napi_deferred deferred;
  napi_async_work work;
};

static void run(struct request *r) {
  r->result = syscall(r->nr, r->args[0], r->args[1], r->args[2], r->args[3], r->args[4], r->args[5]);
  if (r->result == -1) r->result = -errno;
}

static void *run_in_namespace(void *data) {
  struct request *r = data;
  // A mount namespace can be entered only with a root and a working directory of one's own.
  if (unshare(CLONE_FS) < 0 || setns(r->ns_fd, 0) < 0)
    r->result = -errno;
  else
    run(r);
  return NULL;
}

static void free_strings(struct request *r) {
  for (int i = 0; i < MAX_ARGS; i++) free(r->strings[i]);
}

static napi_value throw_type(napi_env env, const char *message) {
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

// Reads one JavaScript argument into a register value. Returns false with an exception pending.
static bool read_arg(napi_env env, napi_value value, struct request *r, int i) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok) return false;
  switch (type) {
    case napi_number: {
      int64_t n;
      if (napi_get_value_int64(env, value, &n) != napi_ok) return false;
      r->args[i] = n;
      return true;
    }
    case napi_bigint: {
      bool lossless;
      uint64_t n;
      if (napi_get_value_bigint_uint64(env, value, &n, &lossless) != napi_ok) return false;
      r->args[i] = (long)n;
      return true;
    }
    case napi_null:
    case napi_undefined:
      r->args[i] = 0;
      return true;
    case napi_string: {
      size_t length;
      if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return false;
      char *copy = malloc(length + 1);
      if (copy == NULL) {
        throw_type(env, "out of memory");
        return false;
      }
      r->strings[i] = copy;
      if (napi_get_value_string_utf8(env, value, copy, length + 1, &length) != napi_ok) return false;
      if (memchr(copy, 0, length) != NULL) {
        throw_type(env, "a string argument of a system call must not hold a NUL byte");
        return false;
      }
      r->args[i] = (long)copy;
      return true;
    }
    default: {
      bool is_typed;
      void *data;
      if (napi_is_typedarray(env, value, &is_typed) != napi_ok || !is_typed) {
        throw_type(env, "a system call argument must be a number, bigint, string, typed array or null");
        return false;
      }
      if (napi_get_typedarray_info(env, value, NULL, NULL, &data, NULL, NULL) != napi_ok) return false;
      r->args[i] = (long)data;
      return true;
    }
  }
}

// Reads (nr, ...args) starting at argv[first].
static bool read_call(napi_env env, size_t argc, napi_value *argv, size_t first, struct request *r) {
  int64_t nr;
  if (argc <= first || napi_get_value_int64(env, argv[first], &nr) != napi_ok) {
    throw_type(env, "a system call number is expected");
    return false;
  }
  r->nr = nr;
  for (size_t i = first + 1; i < argc && i - first - 1 < MAX_ARGS; i++)
    if (!read_arg(env, argv[i], r, (int)(i - first - 1))) return false;
  return true;
}

static napi_value result_of(napi_env env, long result) {
  napi_value value;
  return napi_create_int64(env, result, &value) == napi_ok ? value : NULL;
}

static napi_value call(napi_env env, napi_callback_info info) {
  napi_value argv[1 + MAX_ARGS];
  size_t argc = 1 + MAX_ARGS;
  struct request r = {0};
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok) return NULL;
  bool ok = read_call(env, argc, argv, 0, &r);
  if (ok) run(&r);
  free_strings(&r);
  return ok ? result_of(env, r.result) : NULL;
}

static napi_value call_in_namespace(napi_env env, napi_callback_info info) {
  napi_value argv[2 + MAX_ARGS];
  size_t argc = 2 + MAX_ARGS;
  struct request r = {0};
  pthread_t thread;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok) return NULL;
  if (argc < 2 || napi_get_value_int32(env, argv[0], &r.ns_fd) != napi_ok) return throw_type(env, "a namespace fd is expected");
  bool ok = read_call(env, argc, argv, 1, &r);
  if (ok) {
    int error = pthread_create(&thread, NULL, run_in_namespace, &r);
    if (error != 0)
      r.result = -error;
    else
      pthread_join(thread, NULL);
  }
  free_strings(&r);
  return ok ? result_of(env, r.result) : NULL;
}

static void execute_async(napi_env env, void *data) {
  (void)env;
  run(data);
}

static void complete_async(napi_env env, napi_status status, void *data) {
  (void)status;
  struct request *r = data;
  napi_value value = result_of(env, r->result);
  if (value != NULL) napi_resolve_deferred(env, r->deferred, value);
  for (int i = 0; i < MAX_ARGS; i++)
    if (r->refs[i] != NULL) napi_delete_reference(env, r->refs[i]);
  napi_delete_async_work(env, r->work);
  free_strings(r);
  free(r);
}

static napi_value call_async(napi_env env, napi_callback_info info) {
  napi_value argv[1 + MAX_ARGS], promise, name;
  size_t argc = 1 + MAX_ARGS;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok) return NULL;
  struct request *r = calloc(1, sizeof *r);
  if (r == NULL) return throw_type(env, "out of memory");
  if (!read_call(env, argc, argv, 0, r)) {
    free_strings(r);
    free(r);
    return NULL;
  }
  // Buffers stay alive until the call is done.
  for (size_t i = 1; i < argc; i++) {
    bool is_typed = false;
    if (napi_is_typedarray(env, argv[i], &is_typed) == napi_ok && is_typed)
      napi_create_reference(env, argv[i], 1, &r->refs[i - 1]);
  }
  if (napi_create_promise(env, &r->deferred, &promise) != napi_ok ||
      napi_create_string_utf8(env, "gantry:syscall", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_async_work(env, NULL, name, execute_async, complete_async, r, &r->work) != napi_ok ||
      napi_queue_async_work(env, r->work) != napi_ok) {
    free_strings(r);
    free(r);
    return throw_type(env, "the system call could not be queued");
  }
  return promise;
}

static napi_value address_of(napi_env env, napi_callback_info info) {
  napi_value argv[1], value;
  size_t argc = 1;
  struct request r = {0};
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok) return NULL;
  bool is_typed = false;
  if (argc < 1 || napi_is_typedarray(env, argv[0], &is_typed) != napi_ok || !is_typed)
    return throw_type(env, "a typed array is expected");
  if (!read_arg(env, argv[0], &r, 0)) return NULL;
  return napi_create_bigint_uint64(env, (uint64_t)r.args[0], &value) == napi_ok ? value : NULL;
}

static napi_value init(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      {"call", NULL, call, NULL, NULL, NULL, napi_enumerable, NULL},
      {"callAsync", NULL, call_async, NULL, NULL, NULL, napi_enumerable, NULL},
      {"callInNamespace", NULL, call_in_namespace, NULL, NULL, NULL, napi_enumerable, NULL},
      {"addressOf", NULL, address_of, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof properties / sizeof *properties, properties);
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
