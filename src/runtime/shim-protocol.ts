/**
 * How the engine and a shim talk. One shim for each process (a container's first, or an exec's); it outlives the engine.
 *
 * Invocation: `gantry-shim` with a connected unix stream socket as fd 3, its first client; `gantry-shim --spawner` with
 * the engine's pipe as fd 3 waits for clients on an abstract socket, whose name it writes to fd 3, forks a shim for
 * each, and ends when that pipe does. Only the process that started it may connect.
 *
 * The first frame of the first client is `create`; its payload is a plan (plan.ts) that begins with `directory`, `stdio`,
 * `patience` and perhaps `log`, `oom-events` and `sync-exit`. More frames may follow at once, and are served after it. There
 * are two ways from there:
 *   1. launcher mode: the plan goes on to `clone … exec`; the shim carries it out and is the process's parent. `created`
 *      comes when the child is ready, `start` lets it exec.
 *   2. command mode: the plan holds `command` instead. The shim becomes a subreaper and runs the create command with the
 *      container's stdio (pipes; with a terminal /dev/null and the console socket, on which it listens), waits for it,
 *      reads the pid file and adopts that pid. Operations of the plan that make something (`unshare`, `fsopen`, `attach`,
 *      …) are carried out in that command's process before it, so that a mount is seen by it and by nothing else. `start` runs the start command: with /dev/null as stdio if the create
 *      command was there, else (an OCI runtime's `exec --detach`, which has no create) with the process's stdio, and then
 *      adopts the pid. A command that fails is answered by `error` with its exit status; what it says goes to its own --log.
 * From then on the two are the same: stdio, log, exit status, `exit.json`, and frames on `<directory>/shim.sock`.
 *
 * A frame is `u32 bytes of payload`, `u8 type`, `u8 stream`, `u16 id`, then the payload; little-endian. Replies carry the
 * request's id. A task that was created and never started ends with its last client. A shim ends when its process has ended,
 * the exit status is on disk and no client is left.
 */
export const requestTypes = {
  /** plan → created | error */
  create: 1,
  /** → started | error. */
  start: 2,
  /** Output from now on comes to this client as `output` frames, then `outputEnd`. → ok */
  attach: 3,
  /** bytes. No reply; the shim reads no more from this client while the process takes none. */
  stdin: 4,
  /** Half-close. No reply. */
  stdinEnd: 5,
  /** u16 rows, u16 columns → ok | error */
  resize: 6,
  /** u32 signal → ok | error ESRCH once the process has been waited for */
  kill: 7,
  /** → exited, when the process has ended, its output is drained and exit.json is written */
  wait: 8,
  /** → created: the task as it is; for a client that comes later */
  state: 9,
  /** No more output to this client. No reply. */
  detach: 10,
} as const;

export const replyTypes = {
  ok: 64,
  /** see launch-error.ts */
  error: 65,
  /** u32 pid (0: not there yet), u32 state 0 created 1 running 2 exited, u64 start time of the process in clock ticks */
  created: 66,
  /** as created */
  started: 67,
  /** bytes, on stream 1 (stdout) or 2 (stderr) */
  output: 68,
  outputEnd: 69,
  /** u32 code, u32 signal or 0, u32 oom 0|1, then RFC 3339 time */
  exited: 70,
} as const;

export type RequestType = keyof typeof requestTypes;
export type ReplyType = keyof typeof replyTypes;

export interface Reply {
  readonly type: ReplyType;
  readonly stream: number;
  readonly id: number;
  readonly payload: Buffer;
}

const headerBytes = 8;
/** No frame is larger; what is larger is not ours. */
export const maxPayloadBytes = 16 * 1024 * 1024;

/** One request frame. */
export function encodeRequest(type: RequestType, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const frame = Buffer.alloc(headerBytes + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt8(requestTypes[type], 4);
  frame.writeUInt16LE(id, 6);
  frame.set(payload, headerBytes);
  return frame;
}

const replyNames = new Map<number, ReplyType>(
  Object.entries(replyTypes).map(([name, code]) => [code, name as ReplyType]),
);

/** Splits a stream of bytes into reply frames; keeps what is not whole yet. */
export class ReplyReader {
  #held: Buffer = Buffer.alloc(0);

  /** @throws RangeError for bytes that are no frame of ours */
  push(bytes: Buffer): readonly Reply[] {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const replies: Reply[] = [];
    while (this.#held.length >= headerBytes) {
      const length = this.#held.readUInt32LE(0);
      const type = replyNames.get(this.#held.readUInt8(4));
      if (type === undefined || length > maxPayloadBytes) throw new RangeError('not a frame of a shim');
      if (this.#held.length < headerBytes + length) break;
      replies.push({
        type,
        stream: this.#held.readUInt8(5),
        id: this.#held.readUInt16LE(6),
        payload: this.#held.subarray(headerBytes, headerBytes + length),
      });
      this.#held = this.#held.subarray(headerBytes + length);
    }
    return replies;
  }
}
