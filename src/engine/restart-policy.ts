import type { Container } from './engine.ts';

const firstDelayMs = 100;
const longestDelayMs = 60_000;
/** A process that ran this long is taken as having started well: the delay begins anew. */
const settledMs = 10_000;

/**
 * How long to wait before a container that has just ended is started again; undefined where it is not. The delay doubles
 * with every restart from 100 ms to one minute, as Docker's does.
 */
export function restartDelayMs(
  container: Pick<Container, 'options' | 'restartCount' | 'stoppedByUser'>,
  end: { readonly exitCode: number; readonly startedAt?: string; readonly finishedAt: string },
): number | undefined {
  const policy = container.options.restartPolicy ?? { name: 'no', maximumRetryCount: 0 };
  if (container.stoppedByUser) return undefined;
  const wanted =
    policy.name === 'always' ||
    policy.name === 'unless-stopped' ||
    (policy.name === 'on-failure' &&
      end.exitCode !== 0 &&
      (policy.maximumRetryCount === 0 || container.restartCount < policy.maximumRetryCount));
  if (!wanted) return undefined;
  const ranMs = end.startedAt === undefined ? 0 : Date.parse(end.finishedAt) - Date.parse(end.startedAt);
  return ranMs >= settledMs ? firstDelayMs : Math.min(firstDelayMs * 2 ** container.restartCount, longestDelayMs);
}

/** Whether a container that does not run is started when the daemon starts. */
export function startsWithDaemon({ options, stoppedByUser, state }: Container): boolean {
  if (state.status === 'created') return false;
  switch (options.restartPolicy?.name) {
    case 'always':
      return true;
    case 'unless-stopped':
      return !stoppedByUser;
    default:
      return state.status === 'restarting';
  }
}
