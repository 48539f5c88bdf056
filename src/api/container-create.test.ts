import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { isGantryError } from '#errors/index.ts';
import { type CreateBody, containerOptionsOf } from './container-create.ts';
import { containerUpdateOf } from './container-update.ts';
import { createBody } from './schema/container.ts';
import { given } from './schema/mismatch.ts';

test('containerOptionsOf turns Docker\u2019s body into domain words', () => {
  const options = containerOptionsOf(
    {
      Image: 'busybox',
      Cmd: ['true'],
      Tty: true,
      HostConfig: {
        Binds: ['/srv:/data:ro', 'vol:/v', '/anonymous'],
        PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }], '53/udp': null },
        Memory: 0,
        AutoRemove: true,
      },
    },
    '/web',
  );
  assert.equal(options.name, 'web');
  assert.equal(options.memoryBytes, undefined);
  assert.equal(options.autoRemove, true);
  assert.deepEqual(options.ports, [
    { containerPort: 80, protocol: 'tcp', hostAddress: '', hostPort: 8080 },
    { containerPort: 53, protocol: 'udp', hostAddress: '', hostPort: 0 },
  ]);
  assert.deepEqual(
    options.mounts?.map((m) => [m.type, m.source, m.target, m.readOnly ?? false]),
    [
      ['bind', '/srv', '/data', true],
      ['volume', 'vol', '/v', false],
      ['volume', undefined, '/anonymous', false],
    ],
  );
});

test('containerOptionsOf refuses what is not built and what is wrong, by name', () => {
  const refused = (host: object) => () => containerOptionsOf({ Image: 'x', HostConfig: host }, undefined);
  assert.throws(refused({ RestartPolicy: { Name: 'sometimes' } }), { kind: 'invalid', message: /"sometimes"/ });
  assert.throws(refused({ RestartPolicy: { Name: 'always' }, AutoRemove: true }), { kind: 'invalid' });
  assert.throws(refused({ Binds: ['/a:/b:wild'] }), { kind: 'invalid', message: /"wild"/ });
  assert.throws(refused({ PortBindings: { '70000/tcp': null } }), { kind: 'invalid' });
  assert.throws(() => containerOptionsOf({}, undefined), { kind: 'invalid' });
});

const throttle = [{ Path: '/dev/vda', Rate: 1024 }];

/** Every field of HostConfig of the Engine API 1.48 with a value that asks for something: built, or refused by its name. */
const hostConfig: Readonly<
  Record<string, readonly [value: unknown, fate: 'built' | 'refused' | 'the client\u2019s own']>
> = {
  CpuShares: [512, 'built'],
  Memory: [64 << 20, 'built'],
  CgroupParent: ['/x', 'built'],
  BlkioWeight: [300, 'built'],
  BlkioWeightDevice: [[{ Path: '/dev/vda', Weight: 300 }], 'built'],
  BlkioDeviceReadBps: [throttle, 'built'],
  BlkioDeviceWriteBps: [throttle, 'built'],
  BlkioDeviceReadIOps: [throttle, 'built'],
  BlkioDeviceWriteIOps: [throttle, 'built'],
  CpuPeriod: [100_000, 'built'],
  CpuQuota: [50_000, 'built'],
  CpuRealtimePeriod: [1_000_000, 'built'],
  CpuRealtimeRuntime: [1000, 'built'],
  CpusetCpus: ['0', 'built'],
  CpusetMems: ['0', 'built'],
  Devices: [[{ PathOnHost: '/dev/null', PathInContainer: '/dev/x', CgroupPermissions: 'r' }], 'built'],
  DeviceCgroupRules: [['c 1:3 r'], 'built'],
  DeviceRequests: [[{ Count: -1, Capabilities: [['gpu']] }], 'refused'],
  KernelMemory: [64 << 20, 'refused'],
  KernelMemoryTCP: [64 << 20, 'built'],
  MemoryReservation: [32 << 20, 'built'],
  MemorySwap: [128 << 20, 'built'],
  MemorySwappiness: [0, 'built'],
  NanoCpus: [5e8, 'built'],
  OomKillDisable: [true, 'built'],
  Init: [true, 'built'],
  PidsLimit: [10, 'built'],
  Ulimits: [[{ Name: 'nofile', Soft: 10, Hard: 10 }], 'built'],
  CpuCount: [1, 'refused'],
  CpuPercent: [10, 'refused'],
  IOMaximumIOps: [1, 'refused'],
  IOMaximumBandwidth: [1, 'refused'],
  Binds: [['/srv:/data'], 'built'],
  ContainerIDFile: ['/tmp/cid', 'the client\u2019s own'],
  LogConfig: [{ Type: 'json-file', Config: { 'max-size': '1m' } }, 'built'],
  NetworkMode: ['none', 'built'],
  PortBindings: [{ '80/tcp': [{ HostPort: '8080' }] }, 'built'],
  RestartPolicy: [{ Name: 'always' }, 'built'],
  AutoRemove: [true, 'built'],
  VolumeDriver: ['nfs', 'refused'],
  VolumesFrom: [['other'], 'built'],
  Mounts: [[{ Type: 'volume', Source: 'v', Target: '/v' }], 'built'],
  ConsoleSize: [[24, 80], 'built'],
  Annotations: [{ a: 'b' }, 'built'],
  CapAdd: [['NET_ADMIN'], 'built'],
  CapDrop: [['ALL'], 'built'],
  CgroupnsMode: ['host', 'built'],
  Dns: [['1.1.1.1'], 'built'],
  DnsOptions: [['ndots:1'], 'built'],
  DnsSearch: [['example.org'], 'built'],
  ExtraHosts: [['a:1.2.3.4'], 'built'],
  GroupAdd: [['50'], 'built'],
  IpcMode: ['host', 'built'],
  Cgroup: ['container:x', 'refused'],
  Links: [['db:db'], 'built'],
  OomScoreAdj: [100, 'built'],
  PidMode: ['host', 'built'],
  Privileged: [true, 'built'],
  PublishAllPorts: [true, 'built'],
  ReadonlyRootfs: [true, 'built'],
  SecurityOpt: [['no-new-privileges'], 'built'],
  StorageOpt: [{ size: '1G' }, 'refused'],
  Tmpfs: [{ '/run': '' }, 'built'],
  UTSMode: ['host', 'built'],
  Umask: ['0027', 'built'],
  UsernsMode: ['host', 'built'],
  ShmSize: [1 << 20, 'built'],
  Sysctls: [{ 'net.ipv4.ip_forward': '1' }, 'built'],
  Runtime: ['runc', 'built'],
  Isolation: ['hyperv', 'refused'],
  MaskedPaths: [[], 'built'],
  ReadonlyPaths: [[], 'built'],
};

/** The same of the rest of the body: ContainerConfig. */
const config: typeof hostConfig = {
  Hostname: ['h', 'built'],
  MacAddress: ['02:42:00:00:00:01', 'built'],
  NetworkingConfig: [{ EndpointsConfig: { net: { Aliases: ['a'] } } }, 'built'],
  Domainname: ['d', 'built'],
  User: ['ana', 'built'],
  AttachStdin: [true, 'the client\u2019s own'],
  AttachStdout: [true, 'the client\u2019s own'],
  AttachStderr: [true, 'the client\u2019s own'],
  ExposedPorts: [{ '80/tcp': {} }, 'built'],
  Tty: [true, 'built'],
  OpenStdin: [true, 'built'],
  StdinOnce: [true, 'built'],
  Env: [['A=b'], 'built'],
  Cmd: [['ls'], 'built'],
  Healthcheck: [{ Test: ['NONE'] }, 'built'],
  ArgsEscaped: [true, 'the client\u2019s own'],
  Volumes: [{ '/v': {} }, 'built'],
  WorkingDir: ['/srv', 'built'],
  Entrypoint: [['sh'], 'built'],
  NetworkDisabled: [true, 'built'],
  OnBuild: [['RUN x'], 'built'],
  Labels: [{ a: 'b' }, 'built'],
  StopSignal: ['INT', 'built'],
  StopTimeout: [3, 'built'],
  Shell: [['bash'], 'built'],
};

const fateOf = (body: object, name: string) => {
  try {
    return isDeepStrictEqual(
      containerOptionsOf(given(createBody.json, { Image: 'x', ...body }) as CreateBody, undefined),
      containerOptionsOf({ Image: 'x' }, undefined),
    )
      ? 'ignored'
      : 'built';
  } catch (error) {
    assert.ok(isGantryError(error), `${name}: ${error}`);
    return 'refused';
  }
};

for (const [title, fields, wrap] of [
  ['HostConfig', hostConfig, (part: object) => ({ HostConfig: part })],
  ['the body', config, (part: object) => part],
] as const)
  test(`containerOptionsOf builds or refuses every field of ${title}, and ignores none`, () => {
    for (const [name, [value, fate]] of Object.entries(fields)) {
      const found = fateOf(wrap({ [name]: value }), name);
      assert.equal(found, fate === 'the client\u2019s own' ? 'ignored' : fate, name);
    }
    assert.equal(fateOf(wrap({ FieldOfTheFuture: 1 }), 'FieldOfTheFuture'), 'refused');
    const empty = Object.keys(fields).map((name) => [name, null] as const);
    assert.equal(fateOf(wrap(Object.fromEntries(empty)), 'empty fields'), 'ignored');
  });

test('containerUpdateOf takes limits and the restart policy, and refuses by name what cannot change', () => {
  assert.deepEqual(containerUpdateOf({ Memory: 1 << 30, PidsLimit: -1, RestartPolicy: { Name: 'no' } }), {
    memoryBytes: 1 << 30,
    pidsLimit: -1,
    restartPolicy: { name: 'no', maximumRetryCount: 0 },
  });
  assert.deepEqual(containerUpdateOf({ Memory: 0, PidsLimit: 0, RestartPolicy: { Name: '' } }), {});
  for (const field of ['Devices', 'DeviceCgroupRules', 'DeviceRequests', 'Ulimits', 'CgroupParent', 'KernelMemory'])
    assert.throws(() => containerUpdateOf({ [field]: ['x'] }), { kind: 'unsupported', message: new RegExp(field) });
});

test('isolationOptionsOf says which value is wrong', () => {
  const refused = (host: object) => () => containerOptionsOf({ Image: 'x', HostConfig: host }, undefined);
  assert.throws(refused({ DeviceRequests: [{ Driver: '', Capabilities: [['gpu']] }] }), {
    message: /could not select device driver "" with capabilities: \[\[gpu\]\]/,
  });
  assert.throws(refused({ OomScoreAdj: 2000 }), { message: /2000, range for oom score adj is \[-1000, 1000\]/ });
  assert.throws(refused({ Devices: [{ PathOnHost: '/dev/null', CgroupPermissions: 'x' }] }), { message: /mode.*: x/ });
});
