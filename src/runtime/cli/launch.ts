import { spawn } from 'node:child_process';
import { chmodSync, closeSync, readSync, writeFileSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { GantryError } from '#errors/index.ts';
import { check, kernel, nativePath } from '#linux/index.ts';
import { launchError, parseLaunchFailure } from '../launch-error.ts';
import { encodePlan, type PlanStep } from '../plan.ts';

const launcher = nativePath('gantry-launcher');
const { signals } = osConstants;
const READY = 1;
const FIRST_AFTER_STDIO = 3;

const AT_FDCWD = -100;
const S_IFIFO_0600 = 0o010600;
const O_CLOEXEC = 0o2000000;

/**
 * A fifo for a start. A process in a user namespace is nobody to the host, and must open it: it does so by a descriptor;
 * the directory keeps all others away.
 * @throws SyscallError
 */
export function makeFifo(path: string): void {
  check(kernel.call('mknodat', AT_FDCWD, path, S_IFIFO_0600, 0), 'mknodat', path);
  chmodSync(path, 0o622);
}

/** How a process is launched, beside its plan. */
export interface LaunchRequest {
  /** Where the plan is written for the launcher. */
  readonly planPath: string;
  readonly steps: readonly PlanStep[];
  /** So many fds of ours, from 3 on, become the process's (`--preserve-fds`). */
  readonly preserveFds: number;
  /** Where the process's terminal goes, if it has one; with `foreground` the launcher serves it where it goes nowhere. */
  readonly consoleSocket: string | undefined;
  /** The launcher stays, forwards signals, and exits as the process does. */
  readonly foreground: boolean;
  /** The process waits until this is opened for reading. */
  readonly startFifo?: string;
}

export interface LaunchedProcess {
  readonly pid: number;
  readonly startTime: string;
  /** Its exit code, or 128 + signal: of the process with `foreground`. */
  readonly exited: Promise<number>;
}

interface Pipe {
  readonly reads: number;
  readonly writes: number;
}

/** @throws SyscallError */
function makePipe(): Pipe {
  const ends = Buffer.alloc(8);
  check(kernel.call('pipe2', ends, O_CLOEXEC), 'pipe2', 'to hear of the launcher');
  return { reads: ends.readInt32LE(0), writes: ends.readInt32LE(4) };
}

/** The one report that a launcher gives; nothing where it ended without. Blocks: there is nothing else to do meanwhile. */
function readReport({ reads }: Pipe): Buffer {
  const packet = Buffer.alloc(4096);
  return packet.subarray(0, readSync(reads, packet));
}

/**
 * Runs build/gantry-launcher over a plan. Its child inherits our stdio and preserved fds, and is left to whoever reaps.
 * @throws GantryError of the operation that failed (see launch-error.ts); then no process is left
 */
export async function launchProcess(request: LaunchRequest): Promise<LaunchedProcess> {
  const result = FIRST_AFTER_STDIO + request.preserveFds;
  const steps: readonly PlanStep[] = [
    ...(request.startFifo === undefined ? [] : [{ name: 'start-fifo' as const, args: [request.startFifo] }]),
    ...(request.consoleSocket === undefined
      ? []
      : [{ name: 'console-socket' as const, args: [request.consoleSocket] }]),
    ...(request.foreground ? [{ name: 'foreground' as const, args: [] }] : []),
    ...(request.preserveFds > 0 ? [{ name: 'close-fds' as const, args: [result] }] : []),
    ...request.steps,
  ];
  writeFileSync(request.planPath, encodePlan(steps), { mode: 0o600 });
  const preserved = Array.from({ length: request.preserveFds }, (_, i) => FIRST_AFTER_STDIO + i);
  const pipe = makePipe();
  let exited: Promise<number>;
  let packet: Buffer;
  try {
    const child = spawn(launcher, [request.planPath, String(result)], {
      stdio: ['inherit', 'inherit', 'inherit', ...preserved, pipe.writes],
    });
    exited = new Promise((resolve, reject) => {
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : signals[signal])));
      child.once('error', (cause) =>
        reject(new GantryError('unavailable', `cannot run ${launcher}; build it with npm run setup`, { cause })),
      );
    });
  } finally {
    closeSync(pipe.writes);
  }
  try {
    packet = readReport(pipe);
  } finally {
    closeSync(pipe.reads);
  }
  if (packet.length < 16 || packet.readUInt32LE(0) !== READY) {
    await exited;
    throw launchError(parseLaunchFailure(packet), steps);
  }
  // Without `foreground` it ends now, and is ours to reap.
  if (!request.foreground) await exited;
  return { pid: packet.readUInt32LE(4), startTime: String(packet.readBigUInt64LE(8)), exited };
}
