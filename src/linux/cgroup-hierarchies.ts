/** A mounted cgroup hierarchy. `base` is the cgroup, below the mount, under which ours are made: '' for its root. */
export interface Hierarchy {
  readonly mountpoint: string;
  readonly controllers: string;
  readonly version: 1 | 2;
  readonly base: string;
}

/** Controllers whose hierarchies a container joins; those of `perf_event` and the named ones limit nothing. */
export const controllerNames = [
  ...(['cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'blkio', 'pids'] as const),
  ...(['hugetlb', 'net_cls', 'net_prio', 'rdma'] as const),
] as const;
export type ControllerName = (typeof controllerNames)[number];

const isControllerName = (name: string): name is ControllerName =>
  (controllerNames as readonly string[]).includes(name);

const unescapeOctal = (path: string) =>
  path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));

/** A process's cgroups by hierarchy, from /proc/PID/cgroup: the key is v1's controller list, or '' for v2 (cgroups(7)). */
export function parseProcessCgroups(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = line.match(/^\d+:([^:]*):(.*)$/);
    if (match !== null) found.set(match[1] ?? '', match[2] ?? '');
  }
  return found;
}

/** Where a cgroup of /proc/PID/cgroup lies below a mount whose root is `root`; undefined where the mount does not show it. */
function belowMount(root: string, path: string): string | undefined {
  if (path.startsWith('/..')) return undefined; // outside of our cgroup namespace
  if (root === '/') return path === '/' ? '' : path;
  if (path === root) return '';
  return path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}

/** Where a file system of a type is mounted whole, by /proc/self/mountinfo (proc_pid_mountinfo(5)); the last of several. */
export function mountPointOf(mountinfo: string, type: string): string | undefined {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' - '))
    .filter(([before = '', after = '']) => after.split(' ')[0] === type && before.split(' ')[3] === '/')
    .map(([before = '']) => unescapeOctal(before.split(' ')[4] ?? ''))
    .at(-1);
}

/** One cgroup mount of /proc/self/mountinfo, before its base is known. */
interface CgroupMount {
  readonly root: string;
  readonly mountpoint: string;
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
}

function parseMounts(mountinfo: string): readonly CgroupMount[] {
  const mounts: CgroupMount[] = [];
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', mountpoint = ''] = before.split(' ').map(unescapeOctal);
    const [type = '', , options = ''] = after.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') continue;
    const version = type === 'cgroup' ? 1 : 2;
    const controllers = version === 2 ? [] : options.split(',').filter(isControllerName);
    if (version === 2 || controllers.length > 0) mounts.push({ root, mountpoint, version, controllers });
  }
  return mounts;
}

/** The path of a process in the hierarchy of a mount: v1 lists match by their controllers, in any order. */
function processPath(mount: CgroupMount, cgroups: ReadonlyMap<string, string>): string | undefined {
  if (mount.version === 2) return cgroups.get('');
  for (const [key, path] of cgroups) if (key.split(',').some((name) => mount.controllers.includes(name))) return path;
  return undefined;
}

const shown = (mount: CgroupMount) => (mount.version === 2 ? 'unified' : mount.controllers.join(','));

/**
 * The hierarchies of the host, each once, v1 first.
 *
 * Under v1 the base is the cgroup that we are in ourselves (`own`, of /proc/self/cgroup), so that the limits of the
 * service or session we were started in hold for containers too. Plain v2 forbids processes beside child cgroups with
 * controllers (cgroup-v2.rst: no internal process constraint), so there the base is the root, as with runc and crun.
 */
export function findHierarchies(mountinfo: string, own: string): readonly Hierarchy[] {
  const cgroups = parseProcessCgroups(own);
  const mounts = parseMounts(mountinfo);
  const plain = !mounts.some((mount) => mount.version === 1);
  const found = new Map<string, Hierarchy>();
  for (const mount of mounts) {
    const controllers = shown(mount);
    if (found.has(controllers)) continue;
    const base = plain ? '' : (belowMount(mount.root, processPath(mount, cgroups) ?? '/') ?? '');
    found.set(controllers, { mountpoint: mount.mountpoint, controllers, version: mount.version, base });
  }
  return [...found.values()].sort((a, b) => a.version - b.version);
}

/** Where a process is in each hierarchy, below its mountpoint; hierarchies whose mount does not show it are left out. */
export function processDirectories(
  mountinfo: string,
  process: string,
): readonly { readonly controllers: string; readonly below: string }[] {
  const cgroups = parseProcessCgroups(process);
  return parseMounts(mountinfo).flatMap((mount) => {
    const path = processPath(mount, cgroups);
    const below = path === undefined ? undefined : belowMount(mount.root, path);
    return below === undefined ? [] : [{ controllers: shown(mount), below }];
  });
}
