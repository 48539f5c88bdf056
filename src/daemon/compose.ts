import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { createApiServer } from '#api/index.ts';
import { createBuilder } from '#builder/index.ts';
import { createContentStore } from '#content/index.ts';
import { createRegistryClient } from '#distribution/index.ts';
import {
  createContainers,
  createEvents,
  createStepRunner,
  createStorage,
  moveStorage,
  tellingImages,
  tellingVolumes,
} from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';
import { createImages } from '#images/index.ts';
import { holdFile, nativePath, openCgroups } from '#linux/index.ts';
import { createNetworks } from '#network/index.ts';
import { type ContainerRuntime, createLauncherRuntime, createOciCliRuntime } from '#runtime/index.ts';
import { createMountPoints } from '#snapshots/index.ts';
import { createVolumes } from '#volumes/index.ts';
import { parseListenAddress } from './listen-address.ts';
import { listenWarnings, openListeners, refuseSecondDaemon } from './listeners.ts';
import type { DaemonOptions } from './options.ts';
import { startStandby } from './standby.ts';
import { openStorage } from './storage-driver.ts';

export interface Daemon {
  close(): Promise<void>;
}

/**
 * CVE-2021-41091: no user of the host gets at the set-id programs of images, or at what volumes hold, whatever the data
 * root above lets pass.
 */
async function closeToOthers(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o710);
}

/** Wires the whole engine, in reading order, and listens. */
export async function startDaemon(options: DaemonOptions, log: (level: string, text: string) => void): Promise<Daemon> {
  const { dataRoot, execRoot } = options;
  const addresses = options.hosts.map((host) => parseListenAddress(host, options.tls !== undefined));
  const warnings = listenWarnings(addresses, options.tls);
  if (warnings.length > 0 && !options.allowPlainTcp)
    throw new GantryError(
      'invalid',
      `a TCP socket needs --tlsverify with --tlscacert, --tlscert and --tlskey: who reaches a plain one is root on this host. If that is what you want, say --allow-plain-tcp`,
    );
  await mkdir(dataRoot, { recursive: true, mode: 0o710 });
  await mkdir(execRoot, { recursive: true, mode: 0o711 });
  for (const address of addresses) if (address.kind === 'unix') await refuseSecondDaemon(address.path);
  const held = holdFile(`${dataRoot}/daemon.lock`);
  if (held === undefined)
    throw new GantryError(
      'conflict',
      `another daemon uses the data root ${dataRoot}; stop it, or give --host, --data-root, --exec-root and --bridge of its own`,
    );
  const onError = (error: unknown, about: string) =>
    log('error', `${about}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);

  // It holds the containers' environments. SQLite gives its other files the same mode.
  await appendFile(`${dataRoot}/gantry.db`, '');
  await chmod(`${dataRoot}/gantry.db`, 0o600);
  const db = new DatabaseSync(`${dataRoot}/gantry.db`);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000');

  const cgroupParent = `gantry-${options.bridge}`;
  const launcher = createLauncherRuntime({ shimPath: nativePath('gantry-shim'), initPath: nativePath('gantry-init') });
  const runtimes = new Map<string, ContainerRuntime>([['gantry', launcher]]);
  for (const [name, path] of [
    ['runc', '/usr/sbin/runc'] as const,
    ['crun', '/usr/bin/crun'] as const,
    ...options.runtimes,
  ])
    if (options.runtimes.has(name) || existsSync(path))
      runtimes.set(
        name,
        createOciCliRuntime({ name, path, shimPath: nativePath('gantry-shim'), stateRoot: `${execRoot}/${name}` }),
      );
  const runtime = runtimes.get(options.defaultRuntime);
  if (runtime === undefined)
    throw new GantryError(
      'invalid',
      `--default-runtime "${options.defaultRuntime}" is not known; add it with --add-runtime`,
    );

  const driver = await openStorage({
    dataRoot,
    asked: options.storageDriver,
    migrate: options.migrateStorage,
    move: (from, to) =>
      moveStorage(
        from,
        to,
        { db, runtimes },
        { execRoot, defaultRuntime: options.defaultRuntime, onLayer: (chainId) => log('info', `moving ${chainId}`) },
      ),
    log,
  });
  const content = await createContentStore({ root: `${dataRoot}/content`, exclusive: true });
  const insecure = new Set(options.insecureRegistries);
  const registry = createRegistryClient({
    insecure: (host) => insecure.has(host),
    mirrors: options.registryMirrors,
    registries: options.registries,
    certificateDirectories: options.registryCertificates,
    proxyEnvironment: process.env,
  });
  const events = createEvents();
  const images = tellingImages(await createImages({ db, content, driver, registry }), events);
  const volumes = tellingVolumes(createVolumes({ db, root: `${dataRoot}/volumes` }), events);
  for (const name of [driver.name, 'volumes']) await closeToOthers(`${dataRoot}/${name}`);
  const networks = createNetworks(
    { db },
    {
      bridge: options.bridge,
      ...(options.bip === undefined ? {} : { bip: options.bip }),
      ...(options.addressPools.length === 0 ? {} : { addressPools: options.addressPools }),
      largeLoopbackPackets: options.largeLoopbackPackets,
      onError,
    },
  );

  const mountPoints = createMountPoints(`${dataRoot}/mount-points`);
  const containers = createContainers(
    { db, images, driver, mountPoints, networks, volumes, runtimes, events },
    {
      dataRoot,
      execRoot,
      defaultRuntime: options.defaultRuntime,
      cgroupParent,
      logging: options.logging,
      journalSocket: options.journalSocket,
      onError,
    },
  );
  const steps = createStepRunner({ runtime, networks }, { execRoot, cgroupParent, onError });
  await steps.sweep();
  await containers.open();
  const builder = createBuilder({ db, images, content, driver, steps, mountPoints, root: `${dataRoot}/builder` });
  const storage = createStorage(
    { db, images, containers, driver, volumes, buildCache: () => builder.usage() },
    { dataRoot },
  );

  const app = createApiServer({
    containers,
    images,
    networks,
    volumes,
    registry,
    builder,
    storage,
    events,
    onError,
    host: {
      id: await engineId(`${dataRoot}/engine-id`),
      dataRoot,
      storageDriver: driver.name,
      runtimes: Object.fromEntries([['gantry', 'gantry-runtime'], ...options.runtimes]),
      defaultRuntime: options.defaultRuntime,
      loggingDriver: options.logging.driver,
      cgroupVersion: existsSync('/sys/fs/cgroup/cgroup.controllers') ? '2' : '1',
      version: '0.1.0',
      warnings: warnings.map((text) => `WARNING: ${text}`),
    },
  });
  await app.ready();
  const listeners = await openListeners(app.server, addresses, options);
  for (const text of warnings) log('warn', text);
  const socket = addresses.find((address) => address.kind === 'unix');
  const standby = socket === undefined ? undefined : startStandby(socket.path, onError);
  log('info', `engine listening on ${listeners.hosts.join(' ')}, storage ${driver.name}, data root ${dataRoot}`);
  return {
    async close() {
      await listeners[Symbol.asyncDispose]();
      await app.close();
      await standby?.[Symbol.asyncDispose]();
      await containers.close();
      await networks[Symbol.asyncDispose]();
      const alive = containers.list().some(({ state }) => state.status === 'running' || state.status === 'paused');
      if (!alive) await openCgroups().open(`/${cgroupParent}`).remove();
      await driver[Symbol.asyncDispose]();
      db.close();
      held[Symbol.dispose]();
    },
  };
}

async function engineId(path: string): Promise<string> {
  const known = await readFile(path, 'utf8').catch(() => '');
  if (known !== '') return known;
  const id = randomUUID();
  await writeFile(path, id);
  return id;
}
