import { closeSync, constants, lstatSync, openSync, readFileSync } from 'node:fs';
import { closeFd, mountDetached, READ_FILE, statusOf, tryOpenBeneath } from '#linux/index.ts';
import type { Mount } from '#oci/index.ts';
import { readFilesIn, readOnlyView } from './rootfs.ts';

export interface UserFiles {
  readonly passwd: string;
  readonly group: string;
}

const paths = ['etc/passwd', 'etc/group'] as const;
const ELOOP = 40;

/** Kept: so many, and none that is larger. */
const mostKept = 64;
const mostBytes = 64 * 1024;
/** What was changed less than this ago may be changed again without its time telling (multigrain timestamps are Linux 6.13's). */
const settledNs = 100_000_000n;

const kept = new Map<string, UserFiles>();

/**
 * `/etc/passwd` and `/etc/group` of a root filesystem, as `readFilesIn` reads them. Mounting an overlay to look takes longer
 * than all the rest of it: what was read once is taken again where it cannot have changed, which is where no link leads to
 * it, its layers are the same, and what the container itself has of it is (by inode, size and time of change).
 */
export function userFilesIn(mounts: readonly Mount[]): UserFiles {
  const key = stateOf(mounts);
  const known = key === undefined ? undefined : kept.get(key);
  if (known !== undefined) return known;
  const plain = key === undefined ? undefined : readPlain(mounts);
  if (key === undefined || plain === undefined) {
    const [passwd = '', group = ''] = readFilesIn(
      mounts,
      paths.map((path) => `/${path}`),
    );
    return { passwd, group };
  }
  // Changed while it was read: of which state it is nobody knows.
  if (plain.passwd.length + plain.group.length <= mostBytes && stateOf(mounts) === key) keep(key, plain);
  return plain;
}

function keep(key: string, files: UserFiles): void {
  const [oldest] = kept.keys();
  if (kept.size >= mostKept && oldest !== undefined) kept.delete(oldest);
  kept.set(key, files);
}

/** The files where no component of their paths is a link; else undefined. Neither a file nor a directory is ''. */
function readPlain(mounts: readonly Mount[]): UserFiles | undefined {
  const root = mountDetached(readOnlyView(mounts));
  try {
    const [passwd, group] = paths.map((path) => {
      const fd = tryOpenBeneath(root, path, READ_FILE);
      if (fd === -ELOOP) return undefined;
      if (fd < 0) return '';
      try {
        const { type, size } = statusOf(fd);
        return type === 'file' && size <= mostBytes ? readFileSync(fd, 'utf8') : undefined;
      } finally {
        closeFd(fd);
      }
    });
    return passwd === undefined || group === undefined ? undefined : { passwd, group };
  } finally {
    closeFd(root);
  }
}

/** What the files depend on, as text; undefined where they may not be kept. */
function stateOf(mounts: readonly Mount[]): string | undefined {
  const [root, ...more] = mounts;
  if (root?.type !== 'overlay' || more.length > 0) return undefined;
  const option = (name: string) => root.options?.find((o) => o.startsWith(`${name}=`))?.slice(name.length + 1);
  const lower = option('lowerdir');
  const upper = option('upperdir');
  // By an fd's number: it will be another's.
  if (lower === undefined || upper === undefined || lower.includes('/proc/')) return undefined;
  const own = ownStateOf(upper);
  return own === undefined ? undefined : `${lower}\n${own}`;
}

/** Of a container's own layer. No link in it is followed: the container is still at work there. */
function ownStateOf(upper: string): string | undefined {
  const etc = stateAt(`${upper}/etc`, 'directory');
  if (etc === 'none' || etc === undefined) return etc;
  let directory: number;
  try {
    directory = openSync(`${upper}/etc`, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch {
    return undefined; // it was one a moment ago
  }
  try {
    const files = paths.map((path) => stateAt(`/proc/self/fd/${directory}/${path.slice('etc/'.length)}`, 'file'));
    return files.includes(undefined) ? undefined : [etc, ...files].join('\n');
  } finally {
    closeSync(directory);
  }
}

function stateAt(path: string, type: 'file' | 'directory'): string | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return 'none';
  const fits = type === 'file' ? found.isFile() : found.isDirectory();
  const settled = BigInt(Date.now()) * 1_000_000n - found.ctimeNs > settledNs;
  return fits && settled ? `${found.dev}:${found.ino}:${found.size}:${found.ctimeNs}` : undefined;
}
