import { readFile, realpath } from 'node:fs/promises';
import { GantryError } from '#errors/index.ts';

/**
 * Refuses a propagation that the source cannot have: mounts pass between it and the container only where the host's mount that
 * it is on is shared (or a slave, in the one direction). @throws GantryError invalid, naming the mount
 */
export async function checkPropagation(source: string, propagation: string | undefined): Promise<void> {
  if (propagation === undefined || /^r?private$/.test(propagation)) return;
  if (!/^r?(?:shared|slave)$/.test(propagation))
    throw new GantryError(
      'invalid',
      `invalid propagation mode: "${propagation}"; expected (r)private, (r)slave or (r)shared`,
    );
  const mount = mountOf(await realpath(source), await readFile('/proc/self/mountinfo', 'utf8'));
  const fits = propagation.includes('shared') ? /^shared:/ : /^(?:shared|master):/;
  if (mount?.fields.some((field) => fits.test(field))) return;
  throw new GantryError(
    'invalid',
    `path ${source} is mounted on ${mount?.point ?? '/'} but it is not a ${propagation.includes('shared') ? 'shared' : 'shared or slave'} mount`,
  );
}

interface HostMount {
  readonly point: string;
  /** `shared:N`, `master:N` (proc(5), mountinfo). */
  readonly fields: readonly string[];
}

/** The mount that a path is on: the longest mount point above it, the last of several. */
export function mountOf(path: string, mountinfo: string): HostMount | undefined {
  let found: HostMount | undefined;
  for (const line of mountinfo.split('\n')) {
    const [before = ''] = line.split(' - ');
    const [, , , , escaped, , ...fields] = before.split(' ');
    if (escaped === undefined) continue;
    const point = escaped.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    const above = path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`);
    if (above && (found === undefined || point.length >= found.point.length)) found = { point, fields };
  }
  return found;
}
