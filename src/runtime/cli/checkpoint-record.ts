import { readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { GantryError, messageOf } from '#errors/index.ts';
import type { Mount, RuntimeSpec } from '#oci/index.ts';

/** A mount that a container has from outside: criu leaves it out, and is told at restore what comes there. */
export type ExternalMount =
  | { readonly at: string; readonly kind: 'bind'; readonly source: string }
  | { readonly at: string; readonly kind: 'cgroup'; readonly controllers: string }
  | { readonly at: string; readonly kind: 'null' };

/** What lies beside criu's images: how the container hung together with what is not in them. */
export interface CheckpointRecord {
  readonly mounts: readonly ExternalMount[];
  readonly files: readonly ExternalFile[];
  /** The inode of a network namespace that is not the container's own. */
  readonly network?: number;
}

const recordOf = (images: string) => `${images}/gantry.json`;

export const writeRecord = (images: string, record: CheckpointRecord): void =>
  writeFileSync(recordOf(images), JSON.stringify(record), { mode: 0o600 });

/** @throws GantryError not-found where there is no checkpoint of ours */
export function readRecord(images: string): CheckpointRecord {
  try {
    return JSON.parse(readFileSync(recordOf(images), 'utf8')) as CheckpointRecord;
  } catch (cause) {
    throw new GantryError('not-found', `--image-path ${images}: no checkpoint is there: ${messageOf(cause)}`, {
      cause,
    });
  }
}

interface MountLine {
  readonly root: string;
  readonly at: string;
  readonly type: string;
  readonly options: string;
}

/** Of /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
export function mountLines(text: string): readonly MountLine[] {
  const plain = (path = '') =>
    path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const [, , , root, at] = before.split(' ');
      const [type = '', , options = ''] = after.split(' ');
      return { root: plain(root), at: plain(at), type, options };
    });
}

const isBind = ({ type, options = [] }: Mount) =>
  type === 'bind' || options.includes('bind') || options.includes('rbind');
const isBelow = (path: string, above: string) => path === above || path.startsWith(`${above === '/' ? '' : above}/`);

/**
 * The mounts of a container that are not its own: binds of the host and what came with them, cgroups, and the /dev/null
 * that covers masked files.
 * @param mountinfo of its first process
 */
export function externalMounts(spec: RuntimeSpec, mountinfo: string): readonly ExternalMount[] {
  const binds = (spec.mounts ?? [])
    .filter(isBind)
    .map(({ destination, source = '' }) => ({ at: posix.resolve('/', destination), source }));
  const masked = new Set((spec.linux?.maskedPaths ?? []).map((path) => posix.resolve('/', path)));
  return mountLines(mountinfo).flatMap(({ at, type, options, root }): readonly ExternalMount[] => {
    if (at === '/') return [];
    if (type === 'cgroup2') return [{ at, kind: 'cgroup', controllers: '' }];
    if (type === 'cgroup') return [{ at, kind: 'cgroup', controllers: options.replace(/^(rw|ro),?/, '') }];
    // The longest that it lies below is the one it came with.
    const [bind] = binds.filter((one) => isBelow(at, one.at)).sort((a, b) => b.at.length - a.at.length);
    if (bind !== undefined) return [{ at, kind: 'bind', source: `${bind.source}${at.slice(bind.at.length)}` }];
    return masked.has(at) && root.endsWith('/null') ? [{ at, kind: 'null' }] : [];
  });
}

/** An open file that is not in the container: criu asks for it by name, and gets the one of ours that stands in for it. */
export interface ExternalFile {
  readonly name: string;
  readonly fd: 0 | 1 | 2;
}

interface OpenFile {
  readonly fd: number;
  readonly target: string;
  readonly mount: string;
  readonly writes: boolean;
  readonly path: string;
}

/** The open files of a process (proc_pid_fd(5), proc_pid_fdinfo(5)); none where it has ended. */
function openFiles(pid: number): readonly OpenFile[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      const path = `/proc/${pid}/fd/${fd}`;
      const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
      const field = (name: string) => new RegExp(`^${name}:\\s*(\\d+)$`, 'm').exec(info)?.[1] ?? '0';
      return {
        path,
        fd: Number(fd),
        target: readlinkSync(path),
        mount: field('mnt_id'),
        writes: (Number.parseInt(field('flags'), 8) & 3) !== 0,
      };
    });
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return [];
    throw error;
  }
}

/**
 * What the processes of a container have open from outside: the pipes that are the first one's stdio, and files of mounts
 * that are not the container's.
 * @param pids its processes, the first one first
 */
export function externalFiles(pids: readonly number[], mountinfo: string): readonly ExternalFile[] {
  const mounts = new Set(mountinfo.split('\n').map((line) => line.slice(0, line.indexOf(' '))));
  const found = new Map<string, 0 | 1 | 2>();
  for (const [index, pid] of pids.entries())
    for (const { fd, target, mount, writes, path } of openFiles(pid)) {
      const stands = fd === 0 || fd === 1 || fd === 2 ? fd : writes ? 1 : 0;
      const isOutside = target.startsWith('/') && !mounts.has(mount);
      const name = isOutside ? `file[${Number(mount).toString(16)}:${statSync(path).ino.toString(16)}]` : target;
      if (!isOutside && !(index === 0 && fd < 3 && target.startsWith('pipe:'))) continue;
      if (!found.has(name)) found.set(name, stands);
    }
  return [...found].map(([name, fd]) => ({ name, fd }));
}
