import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import type { Images } from '#images/index.ts';
import type { Networks } from '#network/index.ts';
import type { ContainerRuntime, Task } from '#runtime/index.ts';
import type { GraphDriver, MountPoints } from '#snapshots/index.ts';
import type { Volumes } from '#volumes/index.ts';
import { type ContainerStore, createContainerStore } from './container-store.ts';
import type { Container, Events, Logging } from './engine.ts';
import { createLives, type Lives } from './lives.ts';
import { createLogForwarding, type LogForwarding } from './logging/forward-logs.ts';

export interface ContainersDeps {
  readonly db: DatabaseSync;
  readonly images: Images;
  readonly driver: GraphDriver;
  readonly mountPoints: MountPoints;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly runtimes: ReadonlyMap<string, ContainerRuntime>;
  readonly events: Events;
}

export interface ContainersOptions {
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly defaultRuntime: string;
  readonly cgroupParent: string;
  /** Where a container asks for none. */
  readonly logging: Logging;
  /** Where the journal of systemd listens. */
  readonly journalSocket: string;
  /** Where a failure that no caller waits for is told. */
  readonly onError: (error: unknown, about: string) => void;
}

/** What every verb of the containers stands on: the mechanisms, the rows, and what lives in memory. */
export interface Context extends ContainersDeps {
  readonly options: ContainersOptions;
  readonly store: ContainerStore;
  readonly lives: Lives;
  readonly forwarding: LogForwarding;
  /** The container's own directory on the data root: log, hosts, hostname, resolv.conf. */
  home(id: string): string;
  /** Its task's directory on the exec root. */
  taskDirectory(id: string): string;
  /** @throws GantryError invalid, naming the runtimes that are known */
  runtimeOf(container: Pick<Container, 'options'>): ContainerRuntime;
  tell(container: Container, action: string, more?: Readonly<Record<string, string>>): void;
  /** @throws GantryError not-found, conflict (code `not-running`) */
  runningTask(nameOrId: string): { container: Container; task: Task };
}

export function createContext(deps: ContainersDeps, options: ContainersOptions): Context {
  const store = createContainerStore(deps.db, options);
  const lives = createLives();
  const home = (id: string) => `${options.dataRoot}/containers/${id}`;
  return {
    ...deps,
    options,
    store,
    lives,
    forwarding: createLogForwarding({ home, journalSocket: options.journalSocket, onError: options.onError }),
    home,
    taskDirectory: (id) => `${options.execRoot}/tasks/${id}`,
    runtimeOf(container) {
      const name = container.options.runtime ?? options.defaultRuntime;
      const runtime = deps.runtimes.get(name);
      if (runtime === undefined)
        throw new GantryError(
          'invalid',
          `unknown or invalid runtime name: ${name}; known are ${[...deps.runtimes.keys()].join(', ')} (daemon: --add-runtime name=path)`,
        );
      return runtime;
    },
    tell: (container, action, more = {}) =>
      deps.events.publish({
        type: 'container',
        action,
        id: container.id,
        attributes: { ...container.resolved.labels, image: container.imageName, name: container.name, ...more },
      }),
    runningTask(nameOrId) {
      const container = store.find(nameOrId);
      const task = lives.find(container.id)?.task;
      if (task === undefined || (container.state.status !== 'running' && container.state.status !== 'paused'))
        throw new GantryError('conflict', `container ${container.id} is not running`, { code: 'not-running' });
      return { container, task };
    },
  };
}
