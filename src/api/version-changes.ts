import type { Minor } from './api-version.ts';
import type { Query } from './query.ts';

type Json = Readonly<Record<string, unknown>>;

/** A call as it comes in. */
interface Asked {
  readonly query: Query;
  readonly body: unknown;
}

/**
 * How calls of versions below 1.`below` differ from those of 1.`below`: what `request` makes of what they ask, and
 * `response` of what they get (of each item, where that is a list or a stream). Source of each: the Engine API's version history.
 */
interface Change {
  readonly below: Minor;
  readonly of: readonly string[];
  readonly request?: (asked: Asked) => Asked;
  readonly response?: (answer: Json, query: Query) => Json;
}

const without = (value: Json, ...names: readonly string[]): Json =>
  Object.fromEntries(Object.entries(value).filter(([key]) => !names.includes(key)));

const record = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};

const list = (value: unknown): readonly Json[] => (Array.isArray(value) ? value.map(record) : []);

/** A field of an object, changed where it is one. */
const within = (value: Json, name: string, change: (inner: Json) => Json): Json =>
  typeof value[name] === 'object' && value[name] !== null ? { ...value, [name]: change(record(value[name])) } : value;

const eachOf = (value: Json, name: string, change: (inner: Json) => Json): Json =>
  Array.isArray(value[name]) ? { ...value, [name]: list(value[name]).map(change) } : value;

/** The networks of a container's answer, each changed. */
const networksOf = (value: Json, change: (network: Json, container: Json) => Json): Json =>
  within(value, 'NetworkSettings', (settings) =>
    within(settings, 'Networks', (all) =>
      Object.fromEntries(Object.entries(all).map(([name, one]) => [name, change(record(one), value)])),
    ),
  );

const hostConfig = (change: (host: Json) => Json) => (asked: Asked) => ({
  ...asked,
  body: within(record(asked.body), 'HostConfig', change),
});

const virtualSize = (image: Json): Json => ({ ...image, VirtualSize: image.Size });

const usages: Readonly<Record<string, string>> = {
  Images: 'ImageUsage',
  Containers: 'ContainerUsage',
  Volumes: 'VolumeUsage',
  BuildCache: 'BuildCacheUsage',
};

/** `system df` as it was before 1.52, out of the verbose answer. */
const oldUsage = (usage: Json): Json => ({
  LayersSize: record(usage.ImageUsage).TotalSize ?? 0,
  Gantry: usage.Gantry,
  ...Object.fromEntries(
    Object.entries(usages).map(([old, now]) => [
      old,
      usage[now] === undefined ? null : (record(usage[now]).Items ?? []),
    ]),
  ),
});

const withoutItems = (usage: Json): Json =>
  Object.fromEntries(
    Object.entries(usage).map(([name, value]) => [
      name,
      name.endsWith('Usage') ? without(record(value), 'Items') : value,
    ]),
  );

/** What the default bridge's endpoint has, repeated at the top of NetworkSettings. */
function oldAddresses(settings: Json): Json {
  const bridge = record(record(settings.Networks).bridge);
  const text = (name: string) => bridge[name] ?? '';
  return {
    Bridge: '',
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: text('EndpointID'),
    Gateway: text('Gateway'),
    GlobalIPv6Address: text('GlobalIPv6Address'),
    GlobalIPv6PrefixLen: bridge.GlobalIPv6PrefixLen ?? 0,
    IPAddress: text('IPAddress'),
    IPPrefixLen: bridge.IPPrefixLen ?? 0,
    IPv6Gateway: text('IPv6Gateway'),
    MacAddress: text('MacAddress'),
    ...settings,
  };
}

const imageDefaults = {
  Cmd: null,
  Entrypoint: null,
  Env: null,
  Labels: null,
  OnBuild: null,
  User: '',
  Volumes: null,
  WorkingDir: '',
};

const containerFieldsOfImages = {
  Hostname: '',
  Domainname: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: '',
};

/** The newest first: each builds on the one above it. */
const changes: readonly Change[] = [
  {
    below: 53,
    of: ['SystemDataUsage'],
    // 1.52 gives both shapes, unless it is asked for the verbose one.
    request: ({ query, body }) => ({ query: { ...query, verbose: '1' }, body }),
    response: (usage, query) => (isSet(query.verbose) ? usage : { ...oldUsage(usage), ...withoutItems(usage) }),
  },
  {
    below: 52,
    of: ['SystemDataUsage'],
    response: (usage) => without(usage.LayersSize === undefined ? oldUsage(usage) : usage, ...Object.values(usages)),
  },
  {
    below: 52,
    of: ['SystemEvents'],
    response: (event) => {
      const { ID, Attributes } = record(event.Actor);
      const from = record(Attributes).image;
      return event.Type === 'container' || event.Type === 'image'
        ? { status: event.Action, id: ID, ...(from === undefined ? {} : { from }), ...event }
        : event;
    },
  },
  {
    below: 52,
    of: ['ImageInspect'],
    response: (image) => ({
      ...{ Parent: '', Comment: '', DockerVersion: '', Author: '' },
      ...within(image, 'Config', (config) => ({ ...imageDefaults, ...config })),
    }),
  },
  {
    // Docker left it out from 1.45 on, and docker-compose v1, which asks for whatever is usual, ends without it.
    below: 52,
    of: ['ImageInspect'],
    response: (image) => ({
      ...image,
      ContainerConfig: { ...containerFieldsOfImages, ...imageDefaults, ...record(image.Config) },
    }),
  },
  {
    below: 52,
    of: ['ContainerInspect'],
    response: (container) =>
      within(within(container, 'NetworkSettings', oldAddresses), 'Config', (config) => ({ OnBuild: null, ...config })),
  },
  { below: 52, of: ['ContainerStats'], response: (stats) => without(stats, 'os_type') },
  { below: 52, of: ['NetworkInspect'], response: (network) => without(network, 'Status') },
  { below: 52, of: ['NetworkList'], response: (network) => ({ ...network, Containers: {} }) },
  { below: 51, of: ['ImageList'], response: (image) => ({ ...image, Containers: -1 }) },
  {
    below: 50,
    of: ['ImageInspect'],
    response: (image) => within(image, 'Config', (config) => ({ ...containerFieldsOfImages, ...config })),
  },
  {
    below: 50,
    of: ['SystemInfo'],
    response: (info) => ({ ...without(info, 'DiscoveredDevices'), BridgeNfIptables: false, BridgeNfIp6tables: false }),
  },
  {
    below: 49,
    of: ['SystemInfo'],
    response: (info) =>
      within(without(info, 'FirewallBackend'), 'RegistryConfig', (config) => ({
        AllowNondistributableArtifactsCIDRs: null,
        AllowNondistributableArtifactsHostnames: null,
        ...config,
      })),
  },
  { below: 48, of: ['ImageList', 'ImageInspect'], response: (image) => without(image, 'Descriptor') },
  {
    below: 48,
    of: ['ContainerList', 'ContainerInspect'],
    response: (container) =>
      networksOf(without(container, 'ImageManifestDescriptor'), (network) => without(network, 'GwPriority')),
  },
  { below: 48, of: ['NetworkList', 'NetworkInspect'], response: (network) => without(network, 'EnableIPv4') },
  { below: 47, of: ['ImageList'], response: (image) => without(image, 'Manifests') },
  {
    below: 46,
    of: ['ContainerList'],
    response: (container) => within(container, 'HostConfig', (host) => without(host, 'Annotations')),
  },
  { below: 46, of: ['SystemInfo'], response: (info) => without(info, 'Containerd') },
  { below: 45, of: ['ImageInspect'], response: (image) => ({ ...image, Container: '' }) },
  {
    // The short id was among the aliases, where a network knows names.
    below: 45,
    of: ['ContainerInspect'],
    response: (container) =>
      networksOf(container, (network, { Id }) =>
        Array.isArray(network.DNSNames) && typeof Id === 'string'
          ? { ...network, Aliases: [...new Set([...((network.Aliases ?? []) as string[]), Id.slice(0, 12)])] }
          : network,
      ),
  },
  {
    below: 44,
    of: ['ContainerList', 'ContainerInspect'],
    response: (container) => networksOf(container, (network) => without(network, 'DNSNames')),
  },
  { below: 44, of: ['ImageList', 'ImageInspect'], response: virtualSize },
  {
    below: 44,
    of: ['SystemDataUsage'],
    response: (usage) => eachOf(usage, 'Images', virtualSize),
  },
  {
    below: 44,
    of: ['SystemInfo'],
    response: (info) =>
      within(without(info, 'CDISpecDirs'), 'Runtimes', (runtimes) =>
        Object.fromEntries(Object.entries(runtimes).map(([name, one]) => [name, without(record(one), 'status')])),
      ),
  },
  {
    // What lies below a read-only bind stayed writable.
    below: 44,
    of: ['ContainerCreate'],
    request: (asked) => ({
      ...asked,
      body: within(
        within(record(asked.body), 'HostConfig', (host) =>
          eachOf(host, 'Mounts', (mount) =>
            mount.Type === 'bind' && mount.ReadOnly === true
              ? {
                  ...mount,
                  BindOptions: {
                    ...without(record(mount.BindOptions), 'ReadOnlyForceRecursive'),
                    ReadOnlyNonRecursive: true,
                  },
                }
              : mount,
          ),
        ),
        'Healthcheck',
        (check) => without(check, 'StartInterval'),
      ),
    }),
  },
  {
    below: 43,
    of: ['ImageList'],
    response: (image) => ({
      ...image,
      RepoTags: list(image.RepoTags).length === 0 ? ['<none>:<none>'] : image.RepoTags,
      RepoDigests: list(image.RepoDigests).length === 0 ? ['<none>@<none>'] : image.RepoDigests,
    }),
  },
  { below: 43, of: ['ContainerCreate'], request: hostConfig((host) => without(host, 'Annotations')) },
  {
    below: 43,
    of: ['ContainerInspect'],
    response: (container) => within(container, 'HostConfig', (host) => without(host, 'Annotations')),
  },
  {
    below: 42,
    of: ['ContainerInspect'],
    response: (container) =>
      within(container, 'HostConfig', (host) => ({ KernelMemory: 0, KernelMemoryTCP: 0, ...host })),
  },
  {
    below: 42,
    of: ['SystemDataUsage'],
    response: (usage) => ({
      ...eachOf(usage, 'BuildCache', (record) => ({ ...without(record, 'Parents'), Parent: '' })),
      BuilderSize: list(usage.BuildCache).reduce((sum, { Size }) => sum + Number(Size), 0),
    }),
  },
  {
    // All unused volumes, not only those without a name.
    below: 42,
    of: ['VolumePrune'],
    request: ({ query, body }) => ({
      query: { ...query, filters: JSON.stringify({ ...record(JSON.parse(query.filters || '{}')), all: ['true'] }) },
      body,
    }),
  },
  { below: 42, of: ['ContainerCreate'], request: hostConfig((host) => without(host, 'ConsoleSize')) },
  {
    below: 41,
    of: ['SystemInfo'],
    response: (info) => without(info, 'CgroupVersion', 'DefaultAddressPools'),
  },
  {
    below: 41,
    of: ['ContainerCreate'],
    request: ({ query, body }) => ({
      query: { ...query, platform: undefined },
      body: {
        ...record(body),
        HostConfig: {
          ...record(record(body).HostConfig),
          CgroupnsMode: record(record(body).HostConfig).CgroupnsMode || 'host',
        },
      },
    }),
  },
  {
    below: 40,
    of: ['ContainerCreate'],
    request: ({ query, body }) => ({
      query,
      body: {
        ...record(body),
        HostConfig: {
          ...record(record(body).HostConfig),
          IpcMode: record(record(body).HostConfig).IpcMode || 'shareable',
        },
      },
    }),
  },
  { below: 40, of: ['SystemInfo'], response: (info) => without(info, 'PidsLimit') },
  { below: 39, of: ['SystemInfo'], response: (info) => without(info, 'Warnings', 'ProductLicense') },
  { below: 35, of: ['SystemVersion'], response: (version) => without(version, 'Platform', 'Components') },
  { below: 31, of: ['SystemDataUsage'], response: (usage) => without(usage, 'BuildCache', 'BuilderSize') },
  { below: 30, of: ['ContainerWait'], request: ({ body }) => ({ query: {}, body }) },
  { below: 25, of: ['ContainerCreate'], request: hostConfig((host) => without(host, 'AutoRemove')) },
];

const isSet = (value: string | undefined): boolean => value !== undefined && !/^(?:|0|false)$/i.test(value);

/** What a call of this version asks, in the newest version's words. */
export function requestIn(operation: string, minor: Minor, asked: Asked): Asked {
  // The oldest change is the nearest to the caller.
  return changes
    .filter(({ below, of, request }) => request !== undefined && minor < below && of.includes(operation))
    .toReversed()
    .reduce((so, { request }) => request?.(so) ?? so, asked);
}

/** An answer, its items where it is a list, or an item of a stream, as this version of the API has it. */
export function responseIn(operation: string, minor: Minor, answer: object, query: Query): object {
  const apply = (value: object): object =>
    changes
      .filter(({ below, of, response }) => response !== undefined && minor < below && of.includes(operation))
      .reduce((so, { response }) => response?.(so, query) ?? so, value as Json);
  return Array.isArray(answer) ? answer.map((item: unknown) => (isRecord(item) ? apply(item) : item)) : apply(answer);
}

const isRecord = (value: unknown): value is object => typeof value === 'object' && value !== null;
