import { closeSync, constants } from 'node:fs';
import { GantryError, isGantryError } from '#errors/index.ts';
import {
  attachDetached,
  closeFd,
  copyMount,
  copyMountOf,
  fileSystemOf,
  makeDirectoryAt,
  mountDetached,
  openAt,
  openInRoot,
  statusOf,
} from '#linux/index.ts';
import { openDirectoryInRoot } from '#snapshots/index.ts';
import type { Context } from './context.ts';
import type { Container } from './engine.ts';
import { openNamespace } from './joined-namespaces.ts';
import { openMountSources } from './mount-sources.ts';
import { readOnlyView } from './rootfs.ts';
import { fillVolumes } from './volume-copy-up.ts';

/**
 * A container's root filesystem with its volumes, binds and memory filesystems, as a tree of mounts that is attached
 * nowhere: what the container mounts, links or moves meanwhile cannot redirect it, no name in it leads out, and no device or
 * program in it can be used (CVE-2018-15664, CVE-2019-14271, CVE-2026-41568, CVE-2026-42306). Kernel filesystems (/proc,
 * /sys, /dev) are not in it.
 */
export interface ContainerView extends Disposable {
  readonly root: number;
  readonly container: Container;
}

/** /proc, /sys, cgroups (1 and 2), /dev/pts and /dev/mqueue (statfs(2)). */
const kernelFileSystems: ReadonlySet<number> = new Set([0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x1cd1, 0x19800202]);

/**
 * Opens the view. A running container's root is a copy of its own mount; that of another is mounted anew, and the container
 * cannot be started until the view is disposed of.
 * @throws GantryError not-found, conflict (it ended meanwhile), unsupported (kernels before 6.15, where it has mounts)
 */
export function openContainerView(context: Context, nameOrId: string): Promise<ContainerView> {
  const { id } = context.store.find(nameOrId);
  const opened = Promise.withResolvers<ContainerView>();
  const turn = context.lives.exclusive(id, async () => {
    const container = context.store.find(id);
    const running = container.state.status === 'running' || container.state.status === 'paused';
    if (running && container.userRange !== undefined)
      throw new GantryError(
        'unsupported',
        `${container.name} runs in a user namespace of its own (--userns auto): its files cannot be reached from outside meanwhile; stop it first`,
      );
    const root = running ? await runningRoot(context, container) : await restingRoot(context, container);
    const released = Promise.withResolvers<void>();
    let open = true;
    opened.resolve({
      root,
      container,
      [Symbol.dispose]() {
        if (open) closeFd(root);
        if (open && !running) context.volumes.unmount(id);
        open = false;
        released.resolve();
      },
    });
    if (!running) await released.promise;
  });
  turn.catch(opened.reject);
  return opened.promise;
}

async function restingRoot(context: Context, container: Container): Promise<number> {
  try {
    // What comes with the first start comes before the first copy: a volume that is not empty any more stays as it is.
    if (container.mounts.some(({ type }) => type === 'volume')) await fillVolumes(context, container);
    return await withMounts(mountDetached(await context.driver.mounts(container.id)), (root) =>
      attachFromHost(context, container, root),
    );
  } catch (error) {
    context.volumes.unmount(container.id);
    throw error;
  }
}

/** What a container's process sees of files, or would see, to be read only; the caller closes it. @throws GantryError as openContainerView */
export async function openRootToRead(context: Context, container: Container): Promise<number> {
  const { status } = context.store.find(container.id).state;
  if (status === 'running' || status === 'paused') return await runningRoot(context, container);
  return await withMounts(mountDetached(readOnlyView(await context.driver.mounts(container.id))), (root) =>
    attachFromHost(context, container, root, () => undefined),
  );
}

async function runningRoot(context: Context, container: Container): Promise<number> {
  const namespace = await openNamespace(context, container, 'mount');
  try {
    return await withMounts(copyMountOf(namespace, '/', 'alone'), async (root) =>
      attachFromNamespace(namespace, container, root),
    );
  } finally {
    closeSync(namespace);
  }
}

/** The root, or an error and nothing left mounted. */
async function withMounts(root: number, attach: (root: number) => Promise<void>): Promise<number> {
  try {
    await attach(root);
    return root;
  } catch (error) {
    closeFd(root);
    throw error;
  }
}

const { O_CREAT, O_EXCL, O_WRONLY } = constants;

/** A place for a mount that has none in the root yet, as a start would make it; undefined where it is the root itself. */
function makePlace(root: number, target: string, directory: boolean): number | undefined {
  const make = (path: string) => openDirectoryInRoot(root, path, (at, name) => makeDirectoryAt(at.fd, name, 0o755));
  const path = target.split('/').filter((part) => part !== '' && part !== '.');
  const name = path.at(-1);
  if (name === undefined) return undefined;
  if (directory) return make(path.join('/')).fd;
  const parent = make(path.slice(0, -1).join('/'));
  try {
    return openAt(parent.fd, name, O_WRONLY | O_CREAT | O_EXCL, 0o644);
  } finally {
    closeFd(parent.fd);
  }
}

/** Attaches what a start would mount from the host; memory filesystems come with the start only. */
async function attachFromHost(
  context: Context,
  container: Container,
  root: number,
  makeMissing: typeof makePlace = makePlace,
): Promise<void> {
  using sources = await openMountSources(context, container);
  for (const mount of sources.mounts) {
    if (mount.type === 'tmpfs') continue;
    const { destination, options = [], source = '' } = mount;
    const copy =
      mount.type === 'bind'
        ? copyMount(source, { readOnly: options.some((option) => option === 'ro' || option === 'rro') })
        : mountDetached([{ ...mount, options: options.filter((option) => option.includes('=')) }]);
    const place = placeOf(root, destination) ?? makeMissing(root, destination, statusOf(copy).type === 'directory');
    if (place === undefined) closeFd(copy);
    else attach(copy, place, destination);
  }
}

/**
 * Attaches what a running container has at the places where the engine mounted something. It may have put anything of its
 * own there; kernel filesystems are not taken in.
 */
function attachFromNamespace(namespace: number, container: Container, root: number): void {
  const targets = [
    ...['hosts', 'hostname', 'resolv.conf'].map((name) => `/etc/${name}`),
    ...Object.keys(container.options.tmpfs ?? {}),
    ...container.mounts.map(({ target }) => target),
  ];
  for (const target of targets) {
    const place = placeOf(root, target);
    if (place === undefined) continue;
    const copy = orNothing(() => copyMountOf(namespace, target, 'with-all-below'));
    if (copy === undefined) closeFd(place);
    else if (!kernelFileSystems.has(fileSystemOf(copy).magic)) attach(copy, place, target, namespace);
    else for (const fd of [copy, place]) closeFd(fd);
  }
}

const placeOf = (root: number, target: string): number | undefined =>
  orNothing(() => openInRoot(root, target, 'handle'));

function orNothing(open: () => number): number | undefined {
  try {
    return open();
  } catch (error) {
    if (isGantryError(error, 'not-found')) return undefined;
    throw error;
  }
}

/** Closes both. */
function attach(mount: number, place: number, about: string, namespace?: number): void {
  try {
    attachDetached(mount, place, about, namespace);
  } finally {
    closeFd(mount);
    closeFd(place);
  }
}
