import { readdir, readFile } from 'node:fs/promises';
import { cpus, hostname, release, totalmem } from 'node:os';
import { logDrivers } from '#engine/index.ts';
import { minApiVersion, usualVersion } from './api-version.ts';
import type { ApiDeps } from './deps.ts';
import { eventFilters, eventTest } from './event-filters.ts';
import { filtersOf, itemFor, json, lines, type Operation, plain, type Routes } from './operation.ts';
import { filters, type Query, time } from './query.ts';
import { text } from './schema/schema.ts';
import { eventMessage, systemInfo, systemVersion } from './schema/system.ts';
import { clientSignal, write } from './streams.ts';

const arch = process.arch === 'x64' ? 'amd64' : process.arch;
const machine = process.arch === 'x64' ? 'x86_64' : 'aarch64';

/** A proxy of the environment, without who may use it. */
const proxyOf = (name: string): string =>
  (process.env[name] ?? process.env[name.toLowerCase()] ?? '').replace(/\/\/[^@/]*@/, '//xxxxx:xxxxx@');

/** ping, version, info and events. */
export function systemApi(routes: Routes, { containers, images, events, host, onError }: ApiDeps): void {
  const ping = {
    'docker-experimental': 'false',
    'builder-version': '1',
    swarm: 'inactive',
    'cache-control': 'no-cache, no-store, must-revalidate',
    pragma: 'no-cache',
  };
  for (const [method, id] of [
    ['GET', 'SystemPing'],
    ['HEAD', 'SystemPingHead'],
  ] as const)
    routes.add(
      { id, method, path: '/_ping', summary: 'Whether the engine answers', answers: { 200: plain } },
      async (_request, reply) => reply.headers(ping).type('text/plain; charset=utf-8').send('OK'),
    );
  const versionRoute: Operation = {
    id: 'SystemVersion',
    method: 'GET',
    path: '/version',
    summary: 'Versions of the engine and its API',
    answers: { 200: json(systemVersion) },
  };
  routes.add(versionRoute, async () => ({
    Platform: { Name: 'Gantry' },
    Components: [
      {
        Name: 'Engine',
        Version: host.version,
        Details: {
          ApiVersion: usualVersion,
          MinAPIVersion: minApiVersion,
          Os: 'linux',
          Arch: arch,
          KernelVersion: release(),
          NodeVersion: process.version,
        },
      },
    ],
    Version: host.version,
    ApiVersion: usualVersion,
    MinAPIVersion: minApiVersion,
    GitCommit: '',
    GoVersion: `node ${process.version}`,
    Os: 'linux',
    Arch: arch,
    KernelVersion: release(),
    BuildTime: '',
  }));
  const infoRoute: Operation = {
    id: 'SystemInfo',
    method: 'GET',
    path: '/info',
    summary: 'What the engine is, and on what it runs',
    answers: { 200: json(systemInfo) },
  };
  routes.add(infoRoute, async () => {
    const all = containers.list();
    const count = (status: string) => all.filter((c) => c.state.status === status).length;
    const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '');
    return {
      ID: host.id,
      Containers: all.length,
      ContainersRunning: count('running'),
      ContainersPaused: count('paused'),
      ContainersStopped: count('exited') + count('created'),
      Images: (await images.list()).length,
      Driver: host.storageDriver,
      DriverStatus: [],
      Plugins: {
        Volume: ['local'],
        Network: ['bridge', 'host', 'ipvlan', 'macvlan', 'null'],
        Authorization: [],
        Log: [...logDrivers],
      },
      MemoryLimit: true,
      SwapLimit: true,
      PidsLimit: true,
      CPUShares: true,
      CPUSet: true,
      CpuCfsPeriod: true,
      CpuCfsQuota: true,
      IPv4Forwarding: true,
      Debug: false,
      OomKillDisable: false,
      NFd: (await readdir('/proc/self/fd')).length,
      NGoroutines: 0,
      NEventsListener: 0,
      LoggingDriver: host.loggingDriver,
      CgroupDriver: 'cgroupfs',
      CgroupVersion: host.cgroupVersion,
      SystemTime: new Date().toISOString(),
      KernelVersion: release(),
      OperatingSystem: /^PRETTY_NAME="?([^"\n]*)/m.exec(osRelease)?.[1] ?? 'Linux',
      OSVersion: /^VERSION_ID="?([^"\n]*)/m.exec(osRelease)?.[1] ?? '',
      OSType: 'linux',
      Architecture: machine,
      IndexServerAddress: 'https://index.docker.io/v1/',
      RegistryConfig: { InsecureRegistryCIDRs: ['127.0.0.0/8', '::1/128'], IndexConfigs: {}, Mirrors: [] },
      GenericResources: [],
      HttpProxy: proxyOf('HTTP_PROXY'),
      HttpsProxy: proxyOf('HTTPS_PROXY'),
      NoProxy: proxyOf('NO_PROXY'),
      NCPU: cpus().length,
      MemTotal: totalmem(),
      DockerRootDir: host.dataRoot,
      Name: hostname(),
      Labels: [],
      ExperimentalBuild: false,
      ServerVersion: host.version,
      Runtimes: Object.fromEntries(Object.entries(host.runtimes).map(([name, path]) => [name, { path }])),
      DefaultRuntime: host.defaultRuntime,
      Swarm: {
        NodeID: '',
        NodeAddr: '',
        LocalNodeState: 'inactive',
        ControlAvailable: false,
        Error: '',
        RemoteManagers: null,
      },
      LiveRestoreEnabled: true,
      Isolation: '',
      InitBinary: 'gantry-init',
      SecurityOptions: ['name=seccomp,profile=builtin', 'name=cgroupns'],
      ContainerdCommit: { ID: '' },
      RuncCommit: { ID: '' },
      InitCommit: { ID: '' },
      FirewallBackend: { Driver: 'nftables' },
      DiscoveredDevices: [],
      CDISpecDirs: [],
      Warnings: host.warnings,
    };
  });
  const eventsRoute: Operation = {
    id: 'SystemEvents',
    method: 'GET',
    path: '/events',
    summary: 'What happens, as it happens',
    query: {
      since: text('Seconds since 1970, or RFC 3339'),
      until: text('The same; then the answer ends'),
      filters: filtersOf(...eventFilters),
    },
    answers: { 200: lines(eventMessage) },
  };
  routes.add<{ Querystring: Query }>(eventsRoute, async (request, reply) => {
    const { query } = request;
    const fits = eventTest(filters(query.filters));
    const [since, until] = [time(query.since), time(query.until)];
    const controller = new AbortController();
    const signal = AbortSignal.any([clientSignal(reply), controller.signal]);
    const timer =
      until === undefined ? undefined : setTimeout(() => controller.abort(), Math.max(0, until.getTime() - Date.now()));
    const type = eventTypeFor(request.headers.accept);
    const mark = type === 'application/json-seq' ? '\x1e' : '';
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': type });
    reply.raw.flushHeaders();
    try {
      for await (const event of events.subscribe({ signal, ...(since === undefined ? {} : { since }) })) {
        if (!fits(event)) continue;
        const seconds = Math.floor(event.time.getTime() / 1000);
        await write(
          reply.raw,
          `${mark}${JSON.stringify(itemFor(request, { Type: event.type, Action: event.action, Actor: { ID: event.id, Attributes: event.attributes }, scope: 'local', time: seconds, timeNano: event.time.getTime() * 1e6 }))}\n`,
        );
      }
      reply.raw.end();
    } catch (error) {
      reply.raw.destroy();
      onError(error, 'events');
    } finally {
      clearTimeout(timer);
    }
    return reply;
  });
}

const eventTypes: readonly string[] = ['application/jsonl', 'application/x-ndjson', 'application/json-seq'];

/** How events are written: as the client accepts them first (RFC 7464 for `json-seq`); else lines, under the old name. */
function eventTypeFor(accept = ''): string {
  const accepted = accept.split(',').map((part) => part.split(';', 1)[0]?.trim().toLowerCase() ?? '');
  return accepted.find((type) => eventTypes.includes(type)) ?? 'application/json';
}
