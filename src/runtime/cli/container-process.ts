import { closeSync, existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { GantryError } from '#errors/index.ts';
import { check, kernel, openCgroups, SyscallError } from '#linux/index.ts';
import { type ContainerState, directoryOf, fifoOf, type Status } from './container-state.ts';

/** Of /proc/PID/stat (proc_pid_stat(5)); undefined where there is no such process. */
export function processStat(pid: number): { readonly state: string; readonly startTime: string } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The command's name, in parentheses, may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
}

/** Whether a process is there. One that waits to be reaped has ended. */
export function isAlive({ pid, startTime }: Pick<ContainerState, 'pid' | 'startTime'>): boolean {
  const stat = pid > 0 ? processStat(pid) : undefined;
  return stat !== undefined && stat.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X';
}

/** Until the first `start` the fifo is there that the process waits on. */
export function statusOf(root: string, state: ContainerState): Status {
  if (state.pid === 0) return 'creating';
  if (!isAlive(state)) return 'stopped';
  if (existsSync(fifoOf(directoryOf(root, state.id)))) return 'created';
  return openCgroups().at(state.cgroup).isFrozen() ? 'paused' : 'running';
}

/** Signals the container's first process and no other. @throws GantryError conflict where it has ended */
export function signalContainer(state: ContainerState, signal: number): void {
  const ended = (cause?: unknown) =>
    new GantryError('conflict', `container not running: the process of ${state.id} has ended`, {
      code: 'not-running',
      cause,
    });
  const pidfd = kernel.call('pidfd_open', state.pid, 0);
  if (pidfd < 0) throw ended();
  try {
    // Now that the pid is held it cannot be another's.
    if (!isAlive(state)) throw ended();
    check(kernel.call('pidfd_send_signal', pidfd, signal, null, 0), 'pidfd_send_signal', `container ${state.id}`);
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'ESRCH') throw ended(error);
    throw error;
  } finally {
    closeSync(pidfd);
  }
}

const PATIENCE = 10_000;

/** @throws GantryError unavailable where it does not end in 10 s */
export async function waitForEnd(state: ContainerState): Promise<void> {
  const end = performance.now() + PATIENCE;
  for (let pause = 1; isAlive(state); pause = Math.min(pause * 2, 50)) {
    if (performance.now() > end)
      throw new GantryError(
        'unavailable',
        `process ${state.pid} of container ${state.id} did not end in ${PATIENCE / 1000} s`,
      );
    await delay(pause);
  }
}
