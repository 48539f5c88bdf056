import { readFile } from 'node:fs/promises';
import { cpus, hostname, release, totalmem } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { GantryError } from '#errors/index.ts';
import type { ApiDeps } from './deps.ts';
import { filters, type Query, time } from './query.ts';
import { clientSignal, write } from './streams.ts';

export const apiVersion = '1.48';
export const minApiVersion = '1.24';
const arch = process.arch === 'x64' ? 'amd64' : process.arch;
const machine = process.arch === 'x64' ? 'x86_64' : 'aarch64';

/** ping, version, info and events. */
export function systemApi(app: FastifyInstance, { containers, images, events, host, onError }: ApiDeps): void {
  const ping = {
    'api-version': apiVersion,
    'docker-experimental': 'false',
    ostype: 'linux',
    'builder-version': '1',
    'cache-control': 'no-cache',
  };
  app.route({
    method: ['GET', 'HEAD'],
    url: '/_ping',
    handler: async (_request, reply) => reply.headers(ping).type('text/plain; charset=utf-8').send('OK'),
  });
  app.get('/version', async () => ({
    Platform: { Name: 'Gantry' },
    Components: [
      {
        Name: 'Engine',
        Version: host.version,
        Details: {
          ApiVersion: apiVersion,
          MinAPIVersion: minApiVersion,
          Os: 'linux',
          Arch: arch,
          KernelVersion: release(),
          NodeVersion: process.version,
        },
      },
    ],
    Version: host.version,
    ApiVersion: apiVersion,
    MinAPIVersion: minApiVersion,
    GitCommit: '',
    GoVersion: `node ${process.version}`,
    Os: 'linux',
    Arch: arch,
    KernelVersion: release(),
    BuildTime: '',
  }));
  app.get('/info', async () => {
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
        Authorization: null,
        Log: ['json-file', 'none'],
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
      NGoroutines: 0,
      LoggingDriver: 'json-file',
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
      Warnings: [],
    };
  });
  app.get<{ Querystring: Query }>('/events', async ({ query }, reply) => {
    const wanted = filters(query.filters);
    const [since, until] = [time(query.since), time(query.until)];
    const controller = new AbortController();
    const signal = AbortSignal.any([clientSignal(reply), controller.signal]);
    const timer =
      until === undefined ? undefined : setTimeout(() => controller.abort(), Math.max(0, until.getTime() - Date.now()));
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'application/json' });
    reply.raw.flushHeaders();
    try {
      for await (const event of events.subscribe({ signal, ...(since === undefined ? {} : { since }) })) {
        const fits =
          (wanted.get('type')?.includes(event.type) ?? true) &&
          (wanted.get('event')?.some((a) => event.action.startsWith(a)) ?? true) &&
          (wanted.get('container')?.some((c) => event.id.startsWith(c) || event.attributes.name === c) ?? true);
        if (!fits) continue;
        const seconds = Math.floor(event.time.getTime() / 1000);
        await write(
          reply.raw,
          `${JSON.stringify({ status: event.action, id: event.id, from: event.attributes.image, Type: event.type, Action: event.action, Actor: { ID: event.id, Attributes: event.attributes }, scope: 'local', time: seconds, timeNano: event.time.getTime() * 1e6 })}\n`,
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

  for (const swarm of ['/swarm', '/nodes', '/services', '/tasks', '/secrets', '/configs'])
    app.get(swarm, async () => {
      throw new GantryError(
        'unavailable',
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
      );
    });
}
