import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openCgroups } from '#linux/index.ts';
import type { Mount, Process, RuntimeSpec } from '#oci/index.ts';
import {
  type ContainerRuntime,
  createLauncherRuntime,
  defaultSeccompProfile,
  type LauncherRuntimeOptions,
  type Task,
  type TaskStdio,
} from '#runtime/index.ts';
import { busyboxRootfs } from '../harness/images.ts';

const native = (name: string) => fileURLToPath(new URL(`../../build/${name}`, import.meta.url));

export const capabilities = [
  ...['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_KILL', 'CAP_NET_BIND_SERVICE', 'CAP_NET_RAW'],
  ...['CAP_SETFCAP', 'CAP_SETGID', 'CAP_SETPCAP', 'CAP_SETUID', 'CAP_SYS_CHROOT', 'CAP_MKNOD'],
];

const pseudo: readonly Mount[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=8m'],
  },
];

/** What a test changes of an ordinary container. */
export interface Wish {
  readonly process?: Partial<Process>;
  readonly spec?: Partial<RuntimeSpec>;
  readonly linux?: Partial<NonNullable<RuntimeSpec['linux']>>;
  readonly mounts?: readonly Mount[];
  readonly rootfs?: readonly Mount[];
  readonly stdio?: Partial<TaskStdio>;
  readonly init?: boolean;
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Containers of one test over a busybox root. Disposing fails where anything of them is left in the kernel. */
export class Workbench implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'gantry-runtime-'));
  readonly name = `gantry-test-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  readonly rootfs = join(this.directory, 'rootfs');
  readonly runtime: ContainerRuntime;
  readonly #tasks: Task[] = [];
  #count = 0;

  /** With the programs of build/, or others. */
  constructor(programs: LauncherRuntimeOptions = { shimPath: native('gantry-shim'), initPath: native('gantry-init') }) {
    this.runtime = createLauncherRuntime({ shimPath: programs.shimPath, initPath: programs.initPath });
    mkdirSync(this.rootfs);
    execFileSync('tar', ['-C', this.rootfs, '-xf', '-'], { input: busyboxRootfs() });
    chmodSync(this.rootfs, 0o755);
  }

  cgroup(id: string): string {
    return `${this.name}/${id}`;
  }

  taskDirectory(id: string): string {
    return join(this.directory, 'tasks', id);
  }

  process(args: readonly string[], wish: Partial<Process> = {}): Process {
    return {
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/bin:/usr/bin', 'HOME=/root'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      ...wish,
    };
  }

  spec(id: string, args: readonly string[], wish: Wish = {}): RuntimeSpec {
    return {
      ociVersion: '1.2.0',
      process: this.process(args, wish.process),
      hostname: 'inside',
      mounts: [...pseudo, ...(wish.mounts ?? [])],
      ...wish.spec,
      linux: {
        namespaces: (['mount', 'pid', 'ipc', 'uts', 'cgroup', 'network'] as const).map((type) => ({ type })),
        cgroupsPath: this.cgroup(id),
        resources: {},
        seccomp: defaultSeccompProfile(capabilities),
        maskedPaths: ['/proc/kcore', '/sys/firmware', '/proc/nothing-there'],
        readonlyPaths: ['/proc/sys', '/proc/irq'],
        ...wish.linux,
      },
    };
  }

  async create(args: readonly string[], wish: Wish = {}): Promise<Task> {
    const id = `c${this.#count++}`;
    const task = await this.runtime.create({
      id,
      directory: this.taskDirectory(id),
      spec: this.spec(id, args, wish),
      rootfs: wish.rootfs ?? [{ destination: '/', type: 'bind', source: this.rootfs, options: ['rbind'] }],
      init: wish.init ?? false,
      stdio: { terminal: false, stdin: false, ...wish.stdio },
    });
    this.#tasks.push(task);
    return task;
  }

  /** Runs to the end and removes it. */
  async run(args: readonly string[], wish: Wish & { readonly input?: string } = {}): Promise<Outcome> {
    const task = await this.create(args, {
      ...wish,
      stdio: { ...(wish.input === undefined ? {} : { stdin: true, stdinOnce: true }), ...wish.stdio },
    });
    return await finish(task, wish.input);
  }

  /** A shell script's stdout, which must succeed. */
  async shell(script: string, wish: Wish = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(['sh', '-c', script], wish);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const task of this.#tasks) {
      await task.kill(9, { all: true }).catch(() => undefined);
      await task.wait();
      await task.delete();
    }
    // A shim ends on its own once its last client has left and the exit is on the disk, which may be busy.
    for (let patience = 2000; this.#shims().length > 0 && patience > 0; patience--) await delay(10);
    const left = [...this.leftovers(), ...this.#shims()];
    for (const path of this.#cgroups()) rmdirSync(path);
    rmSync(this.directory, { recursive: true, force: true });
    assert.deepEqual(left, []);
  }

  #cgroups(): readonly string[] {
    return openCgroups()
      .open(`/${this.name}`)
      .directories.filter((path) => existsSync(path));
  }

  /** Shims that have a task's directory of ours open. */
  #shims(): readonly string[] {
    return readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid))
      .filter((pid) => openFiles(pid).some((path) => path.startsWith(`${this.directory}/`)))
      .map((pid) => `process ${pid}`);
  }

  /** What is still in the kernel: mounts, cgroups below ours. */
  leftovers(): readonly string[] {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(this.directory));
    const cgroups = this.#cgroups().flatMap((path) =>
      readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => `${path}/${entry.name}`),
    );
    return [...mounts, ...cgroups];
  }
}

function openFiles(pid: string): readonly string[] {
  try {
    if (!readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('gantry-shim')) return [];
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return ''; // closed meanwhile
      }
    });
  } catch {
    return []; // it ended meanwhile
  }
}

/** Attaches, starts, feeds stdin, collects, waits, deletes. */
export async function finish(task: Task, input?: string): Promise<Outcome> {
  const io = await task.attach();
  const output = { stdout: '', stderr: '' };
  const collected = (async () => {
    for await (const { stream, data } of io.output) output[stream] += data.toString();
  })();
  await task.start();
  if (input !== undefined) io.stdin.end(input);
  const { code } = await task.wait();
  await collected;
  await io[Symbol.asyncDispose]();
  await task.delete();
  return { code, ...output };
}

/** Reads the output until it holds the text; says what came instead where it ends first. */
export async function outputUntil(output: AsyncIterator<{ data: Buffer }>, text: string | RegExp): Promise<string> {
  let seen = '';
  while (typeof text === 'string' ? !seen.includes(text) : !text.test(seen)) {
    const { value, done } = await output.next();
    if (done) assert.fail(`the output ended before ${text}: ${seen}`);
    seen += value.data.toString();
  }
  return seen;
}
