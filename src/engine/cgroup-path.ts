import { posix } from 'node:path';

/**
 * Where a container's cgroup is made, as a runtime specification says it (config-linux.md#cgroups-path): below the parent that
 * is asked for, which lies below each hierarchy's root as with Docker's cgroupfs driver and stays when the container is gone;
 * else below the engine's own, a relative path.
 */
export const cgroupPathOf = (own: string, asked: string | undefined, id: string): string =>
  asked === undefined ? `${own}/${id}` : posix.join('/', asked, id);
