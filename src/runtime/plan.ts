import { GantryError } from '#errors/index.ts';

/**
 * A plan: what lies between `clone` and `exec` of a process, as a flat list of operations. TypeScript decides, the
 * launcher (native/launcher/) only carries out, in order, and stops at the first that fails.
 *
 * Encoding, little-endian: `u32 magic "GPL1"`, `u32 operations`, then each operation as `u16 code`, `u16 0`,
 * `u32 bytes of arguments`, and its arguments back to back. The signature says what they are:
 *   n  a number: u64
 *   s  a string: u32 length, bytes, NUL. The length counts the NUL; there is no other.
 *   b  bytes: u32 length, bytes
 *   l  a list of strings: u32 length, every string with its NUL
 * native/plan.h has the same table and plan.test.ts compares the two.
 *
 * Operations before `clone` are the parent's (the shim, or `gantry-launcher`), those after it the child's. A plan without
 * a `clone` is refused, except the shim's `command` mode (see shim-protocol.ts).
 *
 * The protocol between parent and child is a SOCK_SEQPACKET pair. Child → parent, one packet each:
 *   `console` with the pty's master attached (SCM_RIGHTS); `ready` when everything up to that operation is done;
 *   `meet` when the namespaces and mounts are there: the parent runs every `runtime-hook`, and answers with `u32 pid`, the
 *   child's as the parent sees it; `error` (see launch-error.ts) before the child ends. The end of file after `start` says that exec succeeded.
 * Parent → child: one byte, `start`. With `start-fifo` the child reports `ready`, leaves the socket, and opens the fifo for
 * writing instead, which blocks until somebody opens it for reading: that is the start. Who did then reads an `error`
 * packet's bytes, or the end of file when exec succeeded.
 *
 * `gantry-launcher` (native/launcher-main/) carries out the plan in a file with its own stdio, for `gantry-runtime`;
 * control.h there says how it is asked.
 */
export const operations = {
  // What the shim does with the process (shim-protocol.ts#create). First in the plan.
  /** The task's own directory: shim.sock, shim.log, exit.json. */
  directory: [1, 's'],
  /** terminal 0|1, stdin 0 = /dev/null 1 = open 2 = closes when an attached client closes it. */
  stdio: [2, 'nn'],
  /** path, bytes of a file before it is rotated (0 = never), files kept, text that each line's object has before its time. */
  log: [3, 'snns'],
  /** Milliseconds without output after which an exited process counts as drained although its pipes are held open; milliseconds a stalled client may hold output up before it is dropped. */
  patience: [4, 'nn'],
  /** A file with a line `oom_kill N` (memory.events, memory.oom_control), read at exit. */
  'oom-events': [5, 's'],
  /** An OCI runtime's command line at create, the one at start (either may be empty), pid file, console socket or ''. */
  command: [6, 'llss'],
  /** exit.json is synced to the disk, once the exit has been told. */
  'sync-exit': [7, ''],

  // What gantry-launcher does with the process. First in the plan.
  /** Path of a fifo; see above. */
  'start-fifo': [20, 's'],
  /** A unix socket that gets the pty's master (runtime-spec: runtime-linux.md, runc's --console-socket). */
  'console-socket': [21, 's'],
  /** Stay the parent, forward signals, exit as the process does. */
  foreground: [22, ''],

  // Anywhere. Slots 0–255 keep fds from one operation to a later one, across the clone.
  /** slot, path on the host, open(2) flags */
  open: [30, 'nsn'],
  /** slot, pid, its start time in clock ticks (/proc/pid/stat field 22) so that a reused pid is refused */
  pidfd: [31, 'nnn'],
  /** slot, CLONE_NEW* */
  setns: [32, 'nn'],
  /** CLONE_NEW*, 1 + slot of a v2 cgroup directory or 0 */
  clone: [33, 'nn'],
  /** path on the host (before pivot), bytes: cgroup.procs, oom_score_adj, sysctls through the host's /proc/sys */
  write: [34, 'sb'],
  unshare: [35, 'n'],
  /** MS_* of the whole mount namespace, at / */
  propagation: [36, 'n'],
  /** What follows until `clone` is done by a helper, with the process's stdio: it goes into namespaces where the parent may not. The child is the parent's still. */
  helper: [37, ''],
  /** slot, uid map, gid map: a user namespace that lives by its fd (user_namespaces(7)) */
  'user-namespace': [38, 'nss'],

  // Mounts. fsopen … fsmount, or open-tree, make the current mount; root or attach place it.
  fsopen: [40, 's'],
  /** FSCONFIG_* command, key, value */
  fsconfig: [41, 'nss'],
  /** MOUNT_ATTR_* */
  fsmount: [42, 'n'],
  /** path on the host, recursive 0|1 */
  'open-tree': [43, 'sn'],
  /** recursive 0|1, MOUNT_ATTR_* to set, to clear, MS_* propagation or 0 */
  setattr: [44, 'nnnn'],
  /** Where the current mount goes, by path or by 1 + slot of a directory: it becomes the root in which every later path is resolved. */
  root: [45, 'sn'],
  /**
   * destination in the root, made if missing. 0 a directory, 1 as the source is, 2 a directory reached without links,
   * 3 as the source is, and it may cover a file of /proc: EPERM for all others there
   */
  attach: [46, 'sn'],
  /** target, path */
  symlink: [47, 'ss'],
  /** path, mode with type, major << 32 | minor, uid, gid */
  node: [48, 'snnnn'],
  /** path, mode, uid, gid; missing parents too */
  mkdir: [49, 'snnn'],
  /** A file is covered by /dev/null, a directory by an empty read-only tmpfs, a missing path is left alone. */
  mask: [50, 's'],
  /** Recursively read-only; a missing path is left alone. */
  readonly: [51, 's'],
  /** MOUNT_ATTR_* to set on the root, MS_* propagation or 0 */
  'root-attr': [52, 'nn'],
  /** path, recursive 0|1, MOUNT_ATTR_* to set, to clear, MS_* propagation or 0, of what is mounted there */
  'path-attr': [53, 'snnnn'],
  hostname: [54, 's'],
  domainname: [55, 's'],
  /** The root becomes /, the host's is gone. */
  pivot: [56, ''],
  /** In place of `pivot` where the host's root is an initramfs. The host's mounts stay, below the new root. */
  chroot: [57, ''],

  // The process.
  session: [60, ''],
  /** A pty of the container's own devpts becomes stdio: rows, columns (0 = unset), owner, bind it at /dev/console 0|1 */
  console: [61, 'nnnn'],
  /** uid that owns stdio's pipes */
  'stdio-owner': [62, 'n'],
  /** resource, soft, hard */
  rlimit: [63, 'nnn'],
  cwd: [64, 's'],
  /** Reports ready and waits for the start. */
  ready: [65, ''],
  umask: [66, 'n'],
  /** The capabilities to keep in the bounding set, as bits. */
  bounding: [67, 'n'],
  'keep-caps': [68, ''],
  /** u32 each */
  groups: [69, 'b'],
  /** uid, gid */
  ids: [70, 'nn'],
  /** effective, permitted, inheritable, as bits */
  capset: [71, 'nnn'],
  ambient: [72, 'n'],
  'no-new-privileges': [73, ''],
  /** SECCOMP_FILTER_FLAG_*, array of struct sock_filter */
  seccomp: [74, 'nb'],
  /** Every fd from this one on is closed at exec. */
  'close-fds': [75, 'n'],
  /**
   * candidate paths tried in order, argv, env, and 1 where the program itself goes on to report on fd 3 as the child does
   * (our init)
   */
  exec: [76, 'llln'],
  /** candidate paths, the command's name: fails as exec would where none of them can be run */
  lookup: [77, 'ls'],
  /** The name of a session keyring of the process's own (keyrings(7)). */
  keyring: [78, 's'],

  // More mounts.
  /** key (lowerdir+, upperdir, workdir), path in the current mount or '': a layer of the overlay being configured (overlayfs.rst) */
  layer: [80, 'ss'],
  /** path: what is mounted there is configured anew by fsconfig */
  fspick: [81, 's'],
  /** path: what is there goes into the current mount */
  'copy-up': [82, 's'],
  /** path on the host, type (S_IF*), major << 32 | minor: the current mount is that node, which must be this device */
  'device-tree': [83, 'snn'],

  // Hooks: path, argv, env, milliseconds or 0, the state's JSON up to the pid, and after it.
  /** Run by the parent when it meets the child. Before `clone`. */
  'runtime-hook': [84, 'sllnss'],
  meet: [85, ''],
  hook: [86, 'sllnss'],

  // More of the process.
  /** slot, path of a unix socket on the host */
  connect: [87, 'ns'],
  /** as seccomp; slot of the connected agent, and three parts of the state between which the pid stands (after `meet`) */
  'seccomp-notify': [88, 'nbnsss'],
  /** struct sched_attr */
  scheduler: [89, 'b'],
  /** class << 13 | priority (ioprio_set(2)) */
  'io-priority': [90, 'n'],
  /** a mask of processors */
  affinity: [91, 'b'],
  personality: [92, 'n'],
  /** MPOL_*, a mask of nodes */
  'memory-policy': [93, 'nb'],
  /** slot, bytes; closes it */
  'write-slot': [94, 'nb'],
  /** slot: the current mount is kept there, and becomes the current one again */
  hold: [95, 'n'],
  take: [96, 'n'],
  /** slot of a user namespace, recursive 0|1: of the current mount (mount_setattr(2), MOUNT_ATTR_IDMAP) */
  idmap: [97, 'nn'],
  /** uid, gid: files are made with these ids from here on, with all capabilities (setfsuid(2)) */
  'fs-ids': [98, 'nn'],
} as const satisfies Readonly<Record<string, readonly [code: number, signature: string]>>;

export type OperationName = keyof typeof operations;
export type PlanArgument = number | bigint | string | Uint8Array | readonly string[];

/** One operation, and in an error's words what it is for. */
export interface PlanStep {
  readonly name: OperationName;
  readonly args: readonly PlanArgument[];
  /** e.g. `mounting tmpfs at /dev`; absent: the name says it */
  readonly about?: string;
}

const magic = 0x314c5047;

/** Bytes one after the other, in one buffer that grows. */
class PlanWriter {
  #bytes = Buffer.allocUnsafe(1 << 15);
  #length = 0;

  /** Room for so many more bytes; returns where they begin. */
  #take(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes], 2 ** Math.ceil(Math.log2(this.#length + 1)));
    return at;
  }

  u32(value: number): void {
    const at = this.#take(4);
    this.#bytes.writeUInt32LE(value, at);
  }

  u64(value: number | bigint): void {
    const at = this.#take(8);
    this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), at);
  }

  bytes(value: Uint8Array): void {
    const at = this.#take(value.length);
    this.#bytes.set(value, at);
  }

  /** With its NUL. @throws GantryError invalid where there is one in it */
  text(operation: string, value: string): void {
    if (value.includes('\0'))
      throw new GantryError('invalid', `${operation}: ${JSON.stringify(value)} holds a NUL byte`);
    const at = this.#take(Buffer.byteLength(value) + 1);
    this.#bytes.write(value, at);
    this.#bytes[this.#length - 1] = 0;
  }

  /** Writes what `content` does, behind its length. */
  sized(content: () => void): void {
    const at = this.#take(4);
    content();
    this.#bytes.writeUInt32LE(this.#length - at - 4, at);
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/**
 * Encodes a plan as above.
 * @throws GantryError invalid for a string that holds a NUL; TypeError for an argument that does not fit its signature
 */
export function encodePlan(steps: readonly PlanStep[]): Buffer {
  const plan = new PlanWriter();
  plan.u32(magic);
  plan.u32(steps.length);
  for (const { name, args } of steps) {
    const [code, signature] = operations[name];
    if (args.length !== signature.length) throw new TypeError(`${name} takes ${signature.length} arguments`);
    plan.u32(code);
    plan.sized(() => {
      for (const [at, argument] of args.entries()) encodeArgument(plan, name, signature[at], argument);
    });
  }
  return plan.finish();
}

function encodeArgument(plan: PlanWriter, name: string, kind: string | undefined, argument: PlanArgument): void {
  if (kind === 'n' && (typeof argument === 'number' || typeof argument === 'bigint')) plan.u64(argument);
  else if (kind === 's' && typeof argument === 'string') plan.sized(() => plan.text(name, argument));
  else if (kind === 'b' && argument instanceof Uint8Array) plan.sized(() => plan.bytes(argument));
  else if (kind === 'l' && Array.isArray(argument))
    plan.sized(() => {
      for (const text of argument as readonly string[]) plan.text(name, text);
    });
  else throw new TypeError(`${name}: an argument is no ${kind}`);
}
