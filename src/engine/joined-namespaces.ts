import { closeSync, openSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import type { NamespaceType } from '#oci/index.ts';
import type { Context } from './context.ts';
import type { Container } from './engine.ts';
import { joinedContainers } from './spec/namespaces.ts';

/** What /proc/PID/ns has each type as (namespaces(7)). */
const files: Readonly<Record<NamespaceType, string>> = {
  mount: 'mnt',
  pid: 'pid',
  ipc: 'ipc',
  uts: 'uts',
  cgroup: 'cgroup',
  network: 'net',
  user: 'user',
  time: 'time',
};

/**
 * An fd of a namespace of a running container's first process. It keeps the namespace alive; a pid that was given to
 * another process meanwhile is noticed, since that is in another cgroup.
 * @throws GantryError conflict (code `not-running`)
 */
export async function openNamespace(context: Context, container: Container, type: NamespaceType): Promise<number> {
  const { task } = context.runningTask(container.id);
  const gone = (cause?: unknown) =>
    new GantryError('conflict', `container ${container.id} is not running`, { code: 'not-running', cause });
  let namespace: number;
  try {
    namespace = openSync(`/proc/${task.pid}/ns/${files[type]}`, 'r');
  } catch (error) {
    throw gone(error);
  }
  if ((await task.pids()).includes(task.pid)) return namespace;
  closeSync(namespace);
  throw gone();
}

/** Namespaces of other containers, held open by fd. */
export interface JoinedNamespaces extends Disposable {
  /** By type, a path that names the namespace for as long as this is not disposed of. */
  readonly paths: Readonly<Partial<Record<NamespaceType, string>>>;
  /** The container whose ipc namespace is joined. */
  readonly ipcDonor: Container | undefined;
}

/** @throws GantryError invalid, conflict: the other container is unknown, does not run, or does not share, naming it */
function donorOf(context: Context, own: string, title: string, name: string): Container {
  const donor = context.store.find(name);
  if (donor.id === own) throw new GantryError('invalid', `cannot join ${title} of its own container ${name}`);
  if (donor.state.status !== 'running')
    throw new GantryError('conflict', `cannot join ${title} of a non running container: ${donor.id}`);
  return donor;
}

/** Whether others may join its ipc namespace. */
export function checkShareable(donor: Container): void {
  if (donor.options.ipcMode !== 'shareable')
    throw new GantryError(
      'conflict',
      `cannot join IPC of container ${donor.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    );
}

/** Opens the namespaces that a container is to join (`container:NAME`). Nothing is left open when it throws. */
export async function joinNamespaces(context: Context, { id, options }: Container): Promise<JoinedNamespaces> {
  using undo = new DisposableStack();
  const paths: Partial<Record<NamespaceType, string>> = {};
  let ipcDonor: Container | undefined;
  for (const { type, title, container } of joinedContainers(options)) {
    const donor = donorOf(context, id, title, container);
    if (type === 'ipc') {
      checkShareable(donor);
      ipcDonor = donor;
    }
    const namespace = await openNamespace(context, donor, type);
    undo.defer(() => closeSync(namespace));
    paths[type] = `/proc/${process.pid}/fd/${namespace}`;
  }
  const held = undo.move();
  return { paths, ipcDonor, [Symbol.dispose]: () => held.dispose() };
}
