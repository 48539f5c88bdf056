import { closeSync, constants, openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
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
} from '#linux/index.ts';
import { openDirectoryInRoot } from '#snapshots/index.ts';
import type { Context } from './context.ts';
import type { Container } from './engine.ts';

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

const tmpfsMagic = 0x01021994;

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
    const root = running ? await runningRoot(context, container) : await restingRoot(context, container);
    const released = Promise.withResolvers<void>();
    let open = true;
    opened.resolve({
      root,
      container,
      [Symbol.dispose]() {
        if (open) closeFd(root);
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
  return await withMounts(mountDetached(await context.driver.mounts(container.id)), (root) =>
    attachFromHost(context, container, root, { make: makeTarget }),
  );
}

async function runningRoot(context: Context, container: Container): Promise<number> {
  const namespace = await mountNamespaceOf(context, container);
  try {
    return await withMounts(copyMountOf(namespace, '/'), async (root) => {
      await attachFromHost(context, container, root, { namespace });
      attachMemory(namespace, container, root);
    });
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

/** An fd of the mount namespace of a container's first process. */
async function mountNamespaceOf(context: Context, container: Container): Promise<number> {
  const { task } = context.runningTask(container.id);
  const gone = (cause?: unknown) =>
    new GantryError('conflict', `container ${container.id} is not running`, { code: 'not-running', cause });
  try {
    const namespace = openSync(`/proc/${task.pid}/ns/mnt`, 'r');
    // The pid may have been given to another process before it was opened, but not to one of this container's cgroup.
    if ((await task.pids()).includes(task.pid)) return namespace;
    closeSync(namespace);
  } catch (error) {
    throw gone(error);
  }
  throw gone();
}

/** Where a mount goes that has no place in the root yet; undefined: nowhere. */
type MakeTarget = (root: number, target: string, directory: boolean) => number | undefined;

const { O_CREAT, O_EXCL, O_WRONLY } = constants;

/** As a start would make it. */
const makeTarget: MakeTarget = (root, target, directory) => {
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
};

/** Attaches what the engine mounts in the container from the host, as it would at a start. */
async function attachFromHost(
  context: Context,
  container: Container,
  root: number,
  { make, namespace }: { readonly make?: MakeTarget; readonly namespace?: number },
): Promise<void> {
  const asked = container.mounts.filter(({ type }) => type !== 'tmpfs');
  const own = ['hosts', 'hostname', 'resolv.conf']
    .map((name) => ({ source: `${context.home(container.id)}/${name}`, target: `/etc/${name}`, readOnly: false }))
    .filter(({ target }) => !asked.some((mount) => mount.target === target));
  for (const { source, target, readOnly } of [...own, ...asked]) {
    const found = await stat(source).catch(() => undefined);
    if (found === undefined) continue; // the engine's own files come with the first start
    const place = placeOf(root, target) ?? make?.(root, target, found.isDirectory());
    if (place !== undefined) attach(copyMount(source, { readOnly }), place, target, namespace);
  }
}

/** A running container's memory filesystems exist in its own namespace only. */
function attachMemory(namespace: number, container: Container, root: number): void {
  const targets = [
    ...container.mounts.filter(({ type }) => type === 'tmpfs').map(({ target }) => target),
    ...Object.keys(container.options.tmpfs ?? {}),
  ];
  for (const target of targets) {
    const place = placeOf(root, target);
    if (place === undefined) continue;
    const mount = copyMountOf(namespace, target);
    // The container may have put anything in its place; of what else there is, nothing is taken in.
    if (fileSystemOf(mount).magic === tmpfsMagic) attach(mount, place, target, namespace);
    else {
      closeFd(mount);
      closeFd(place);
    }
  }
}

function placeOf(root: number, target: string): number | undefined {
  try {
    return openInRoot(root, target, 'handle');
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
