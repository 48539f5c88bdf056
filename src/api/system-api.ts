import { readFile } from 'node:fs/promises';
import { cpus, hostname, release, totalmem } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { GantryError } from '#errors/index.ts';
import type { ApiDeps } from './deps.ts';
import { filters, labelsFit, type Query, refuseFilters, time } from './query.ts';
import { clientSignal, write } from './streams.ts';

export const apiVersion = '1.48';
export const minApiVersion = '1.24';
const arch = process.arch === 'x64' ? 'amd64' : process.arch;
const machine = process.arch === 'x64' ? 'x86_64' : 'aarch64';

/** ping, version, info, events, networks and volumes. */
export function systemApi(
  app: FastifyInstance,
  { containers, images, networks, volumes, events, host, onError }: ApiDeps,
): void {
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
        Network: ['bridge', 'host', 'null'],
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

  const network = (n: ReturnType<typeof networks.get>) => ({
    Name: n.name,
    Id: n.id,
    Created: n.created,
    Scope: 'local',
    Driver: n.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: {
      Driver: 'default',
      Options: null,
      Config: n.subnet === undefined ? [] : [{ Subnet: n.subnet, Gateway: n.gateway ?? '' }],
    },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: Object.fromEntries(
      containers
        .list()
        .filter((c) => c.endpoint?.networkId === n.id)
        .map((c) => [
          c.id,
          {
            Name: c.name,
            EndpointID: c.endpoint?.id ?? '',
            MacAddress: c.endpoint?.mac ?? '',
            IPv4Address: `${c.endpoint?.address}/${c.endpoint?.prefixLength}`,
            IPv6Address: '',
          },
        ]),
    ),
    Options: {},
    Labels: {},
  });
  app.get<{ Querystring: Query }>('/networks', async ({ query }) => {
    const wanted = filters(query.filters);
    refuseFilters(wanted, ['id', 'name', 'driver']);
    return networks
      .list()
      .map(network)
      .filter(
        (n) =>
          (wanted.get('id')?.some((id) => n.Id.startsWith(id)) ?? true) &&
          (wanted.get('name')?.some((name) => n.Name.includes(name)) ?? true) &&
          (wanted.get('driver')?.includes(n.Driver) ?? true),
      );
  });
  app.get<{ Params: { id: string } }>('/networks/:id', async ({ params }) => network(networks.get(params.id)));
  const volume = (v: ReturnType<typeof volumes.list>[number]) => ({
    CreatedAt: v.created,
    Driver: 'local',
    Labels: v.labels,
    Mountpoint: v.path,
    Name: v.name,
    Options: null,
    Scope: 'local',
  });
  app.get<{ Querystring: Query }>('/volumes', async ({ query }) => {
    const wanted = filters(query.filters);
    refuseFilters(wanted, ['name', 'driver', 'label']);
    const found = volumes
      .list()
      .map(volume)
      .filter(
        (v) =>
          (wanted.get('name')?.some((name) => v.Name.includes(name)) ?? true) &&
          (wanted.get('driver')?.includes(v.Driver) ?? true) &&
          labelsFit(v.Labels, wanted.get('label')),
      );
    return { Volumes: found, Warnings: null };
  });
  app.get<{ Params: { name: string } }>('/volumes/:name', async ({ params }) => {
    const found = volumes.get(params.name);
    if (found === undefined) throw new GantryError('not-found', `get ${params.name}: no such volume`);
    return volume(found);
  });
  app.post<{ Body: { Name?: string; Labels?: Record<string, string> | null; Driver?: string } }>(
    '/volumes/create',
    async ({ body }, reply) => {
      if (body.Driver && body.Driver !== 'local')
        throw new GantryError('not-found', `volume driver "${body.Driver}" is not known; only "local" is`);
      return reply.code(201).send(
        volume(
          await volumes.create({
            ...(body.Name ? { name: body.Name } : {}),
            ...(body.Labels ? { labels: body.Labels } : {}),
          }),
        ),
      );
    },
  );
  app.delete<{ Params: { name: string } }>('/volumes/:name', async ({ params }, reply) => {
    await volumes.remove(params.name);
    return reply.code(204).send();
  });
  for (const swarm of ['/swarm', '/nodes', '/services', '/tasks', '/secrets', '/configs'])
    app.get(swarm, async () => {
      throw new GantryError(
        'unavailable',
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
      );
    });
}
