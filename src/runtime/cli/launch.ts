import { chmodSync, writeFileSync } from 'node:fs';
import { check, kernel } from '#linux/index.ts';
import { launchError, parseLaunchFailure } from '../launch-error.ts';
import { encodePlan, type PlanStep } from '../plan.ts';
import { requireLauncher } from './launcher.ts';

const READY = 1;
const FIRST_AFTER_STDIO = 3;

const AT_FDCWD = -100;
const S_IFIFO_0600 = 0o010600;

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
  /** The process starts at once, and is to be handed over to the launcher. */
  readonly foreground: boolean;
  /** The process waits until this is opened for reading. */
  readonly startFifo?: string;
}

export interface LaunchedProcess {
  readonly pid: number;
  readonly startTime: string;
}

/**
 * Has the launcher carry out a plan. Its child has the stdio and preserved fds of our caller.
 * @throws GantryError of the operation that failed (see launch-error.ts); then no process is left
 */
export function launchProcess(request: LaunchRequest): LaunchedProcess {
  const steps: readonly PlanStep[] = [
    ...(request.startFifo === undefined ? [] : [{ name: 'start-fifo' as const, args: [request.startFifo] }]),
    ...(request.consoleSocket === undefined
      ? []
      : [{ name: 'console-socket' as const, args: [request.consoleSocket] }]),
    ...(request.foreground ? [{ name: 'foreground' as const, args: [] }] : []),
    ...(request.preserveFds > 0
      ? [{ name: 'close-fds' as const, args: [FIRST_AFTER_STDIO + request.preserveFds] }]
      : []),
    ...request.steps,
  ];
  writeFileSync(request.planPath, encodePlan(steps), { mode: 0o600 });
  const packet = requireLauncher().launch(request.planPath);
  if (packet.length < 16 || packet.readUInt32LE(0) !== READY) throw launchError(parseLaunchFailure(packet), steps);
  return { pid: packet.readUInt32LE(4), startTime: String(packet.readBigUInt64LE(8)) };
}
