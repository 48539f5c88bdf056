import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkedMinor, withoutVersion } from './api-version.ts';
import { requestIn, responseIn } from './version-changes.ts';

const get = (operation: string, minor: number, answer: object, query = {}) =>
  responseIn(operation, minor, answer, query) as Record<string, unknown>;
const create = (minor: number, body: object, query = {}) => requestIn('ContainerCreate', minor, { query, body });

test('checkedMinor takes what is spoken, and refuses the rest in Docker\u2019s words', () => {
  assert.deepEqual(['1.24', '1.56', undefined].map(checkedMinor), [24, 56, 51]);
  assert.throws(() => checkedMinor('1.23'), {
    kind: 'invalid',
    message:
      'client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
  });
  for (const version of ['1.99', '2.0'])
    assert.throws(() => checkedMinor(version), {
      message: `client version ${version} is too new. Maximum supported API version is 1.56`,
    });
  assert.equal(withoutVersion('/v1.41/containers/json?all=1'), '/containers/json?all=1');
});

test('images have the fields of their version', () => {
  const image = {
    Id: 'sha256:1',
    Size: 5,
    Containers: 2,
    RepoTags: [],
    RepoDigests: [],
    Descriptor: {},
    Manifests: [],
  };
  const [newest] = responseIn('ImageList', 56, [image], {}) as object[];
  assert.deepEqual(newest, image);
  const listed = (minor: number) => (responseIn('ImageList', minor, [image], {}) as Record<string, unknown>[])[0] ?? {};
  assert.deepEqual(
    [51, 50].map((minor) => listed(minor).Containers),
    [2, -1],
  );
  assert.deepEqual(
    [48, 47].map((minor) => 'Descriptor' in listed(minor)),
    [true, false],
  );
  assert.deepEqual(
    [47, 46].map((minor) => 'Manifests' in listed(minor)),
    [true, false],
  );
  assert.deepEqual(
    [44, 43].map((minor) => listed(minor).VirtualSize),
    [undefined, 5],
  );
  assert.deepEqual(listed(42).RepoTags, ['<none>:<none>']);
  const inspected = { Id: 'sha256:1', Config: { Cmd: ['sh'], Volumes: { '/v': {} } } };
  assert.deepEqual(get('ImageInspect', 52, inspected), inspected);
  const { ContainerConfig, ...rest } = get('ImageInspect', 51, inspected);
  assert.deepEqual(rest, {
    ...{ Id: 'sha256:1', Parent: '', Comment: '', DockerVersion: '', Author: '' },
    Config: {
      ...{ Cmd: ['sh'], Entrypoint: null, Env: null, Labels: null, OnBuild: null, User: '', WorkingDir: '' },
      Volumes: { '/v': {} },
    },
  });
  assert.deepEqual((ContainerConfig as { Volumes: object }).Volumes, { '/v': {} });
  assert.equal((get('ImageInspect', 49, inspected).Config as { Hostname?: string }).Hostname, '');
  assert.deepEqual(
    [45, 44].map((minor) => 'Container' in get('ImageInspect', minor, inspected)),
    [false, true],
  );
});

test('containers have the fields of their version', () => {
  const bridge = { IPAddress: '172.17.0.2', GwPriority: 0, DNSNames: ['box'], Aliases: null };
  const container = {
    Id: 'abcdef0123456789',
    Config: {},
    HostConfig: { Annotations: { a: 'b' } },
    NetworkSettings: { SandboxID: 's', Networks: { bridge } },
  };
  const settings = (minor: number) =>
    get('ContainerInspect', minor, container).NetworkSettings as {
      IPAddress?: string;
      Networks: { bridge: Record<string, unknown> };
    };
  assert.deepEqual(
    [52, 51].map((minor) => settings(minor).IPAddress),
    [undefined, '172.17.0.2'],
  );
  assert.deepEqual(
    [48, 47].map((minor) => 'GwPriority' in settings(minor).Networks.bridge),
    [true, false],
  );
  assert.deepEqual(
    [45, 44].map((minor) => settings(minor).Networks.bridge.Aliases),
    [null, ['abcdef012345']],
  );
  assert.deepEqual(
    [44, 43].map((minor) => 'DNSNames' in settings(minor).Networks.bridge),
    [true, false],
  );
  assert.deepEqual(get('ContainerInspect', 42, container).HostConfig, {});
  assert.deepEqual(get('ContainerInspect', 41, container).HostConfig, { KernelMemory: 0, KernelMemoryTCP: 0 });
});

test('creating means what it meant in the version asked for', () => {
  const hostOf = (minor: number, body: object = {}) =>
    (create(minor, body).body as { HostConfig?: Record<string, unknown> }).HostConfig;
  const mount = { Type: 'bind', Source: '/a', Target: '/b', ReadOnly: true };
  const asked = { HostConfig: { Mounts: [mount], Annotations: { a: 'b' }, ConsoleSize: [1, 2] } };
  assert.deepEqual(hostOf(44, asked), asked.HostConfig);
  assert.deepEqual(hostOf(43, asked)?.Mounts, [{ ...mount, BindOptions: { ReadOnlyNonRecursive: true } }]);
  assert.equal(hostOf(42, asked)?.Annotations, undefined);
  assert.equal(hostOf(41, asked)?.ConsoleSize, undefined);
  assert.equal(hostOf(41)?.CgroupnsMode, undefined);
  assert.equal(hostOf(40)?.CgroupnsMode, 'host');
  assert.equal(hostOf(40, { HostConfig: { CgroupnsMode: 'private' } })?.CgroupnsMode, 'private');
  assert.equal(hostOf(39)?.IpcMode, 'shareable');
  assert.equal(create(41, {}, { platform: 'linux/arm64' }).query.platform, 'linux/arm64');
  assert.equal(create(40, {}, { platform: 'linux/arm64' }).query.platform, undefined);
});

test('disk usage is told in the old way, in both, and in the new', () => {
  const kind = { ActiveCount: 0, TotalCount: 1, Reclaimable: 0, TotalSize: 7 };
  const image = { Id: 'sha256:1', Size: 7 };
  const cache = { ID: 'c', Parents: null, Size: 3 };
  const usage = {
    ImageUsage: { ...kind, Items: [image] },
    BuildCacheUsage: { ...kind, Items: [cache] },
    Gantry: { EngineSize: 1 },
  };
  assert.deepEqual(get('SystemDataUsage', 53, usage), usage);
  const both = get('SystemDataUsage', 52, usage);
  assert.deepEqual([both.ImageUsage, both.Images, both.LayersSize], [kind, [image], 7]);
  assert.deepEqual(get('SystemDataUsage', 52, usage, { verbose: '1' }), usage);
  assert.deepEqual(get('SystemDataUsage', 51, usage), {
    ...{
      LayersSize: 7,
      Images: [image],
      Containers: null,
      Volumes: null,
      BuildCache: [cache],
      Gantry: { EngineSize: 1 },
    },
  });
  assert.deepEqual(get('SystemDataUsage', 43, usage).Images, [{ ...image, VirtualSize: 7 }]);
  const old = get('SystemDataUsage', 41, usage);
  assert.deepEqual([old.BuilderSize, old.BuildCache], [3, [{ ID: 'c', Parent: '', Size: 3 }]]);
  assert.equal(get('SystemDataUsage', 30, usage).BuildCache, undefined);
  assert.equal(requestIn('SystemDataUsage', 51, { query: {}, body: undefined }).query.verbose, '1');
});

test('events, stats, networks, info and version have the fields of their version', () => {
  const event = { Type: 'container', Action: 'start', Actor: { ID: 'x', Attributes: { image: 'busybox' } } };
  assert.deepEqual(get('SystemEvents', 52, event), event);
  assert.deepEqual(get('SystemEvents', 51, event), { status: 'start', id: 'x', from: 'busybox', ...event });
  assert.deepEqual(get('ContainerStats', 51, { os_type: 'linux', id: 'x' }), { id: 'x' });
  assert.deepEqual(responseIn('NetworkList', 47, [{ Id: 'n', EnableIPv4: true }], {}), [{ Id: 'n', Containers: {} }]);
  const info = { FirewallBackend: {}, Containerd: {}, CgroupVersion: '1', PidsLimit: true, Warnings: [] };
  const keys = (minor: number) => Object.keys(get('SystemInfo', minor, info)).filter((key) => key in info);
  assert.deepEqual(
    [50, 48, 45, 40, 39, 38].map((minor) => keys(minor).length),
    [5, 4, 3, 2, 1, 0],
  );
  assert.deepEqual(get('SystemVersion', 34, { Platform: {}, Components: [], Version: '1' }), { Version: '1' });
});

test('pruning volumes took those with a name too, before 1.42', () => {
  const prune = (minor: number, query: object) =>
    requestIn('VolumePrune', minor, { query: { ...query }, body: undefined }).query.filters;
  assert.equal(prune(42, {}), undefined);
  assert.equal(prune(41, {}), '{"all":["true"]}');
  assert.equal(prune(41, { filters: '{"label":["a"]}' }), '{"label":["a"],"all":["true"]}');
});
