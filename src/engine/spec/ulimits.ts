import { GantryError } from '#errors/index.ts';
import type { Rlimit } from '#oci/index.ts';
import type { ContainerOptions } from '../engine.ts';

/** Names of `--ulimit` (getrlimit(2), as go-units and Docker spell them). */
const names: readonly string[] =
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' ');

/** What of limits this engine can hand out: its own hard limits, and whether it may go beyond them. */
export interface LimitsOfEngine {
  readonly mayRaise: boolean;
  /** By name; absent: no limit. */
  readonly hard: ReadonlyMap<string, number>;
}

/** -1 is no limit. */
const value = (limit: number): number => (limit < 0 ? Number.POSITIVE_INFINITY : limit);
const shown = (limit: number): string => (limit < 0 ? 'unlimited' : String(limit));

/**
 * `--ulimit` as the specification has it.
 * @throws GantryError invalid, naming the limit: an unknown name, soft above hard, or more than this engine has itself
 */
export function rlimitsOf(
  { ulimits = [] }: Pick<ContainerOptions, 'ulimits'>,
  engine: LimitsOfEngine | undefined,
): readonly Rlimit[] {
  return ulimits.map(({ name, soft, hard }) => {
    if (!names.includes(name))
      throw new GantryError('invalid', `invalid ulimit type: ${name}; known are ${names.join(', ')}`);
    if (value(soft) > value(hard))
      throw new GantryError(
        'invalid',
        `ulimit ${name}: soft limit must be less than or equal to hard limit: ${shown(soft)} > ${shown(hard)}`,
      );
    const own = engine?.hard.get(name) ?? Number.POSITIVE_INFINITY;
    if (engine?.mayRaise === false && value(hard) > own)
      throw new GantryError(
        'invalid',
        `ulimit ${name}: a hard limit of ${shown(hard)} is above this engine's own of ${own}, and without CAP_SYS_RESOURCE it cannot give more; use at most ${own}`,
      );
    return { type: `RLIMIT_${name.toUpperCase()}`, soft, hard };
  });
}
