import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { get } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';

interface Row {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly SizeRw?: number;
  readonly SizeRootFs?: number;
}

describe('the API', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());

  const message = (body: unknown) => (body as { message: string }).message;
  const create = async (name: string, body: object = {}, version = '') => {
    const path = `${version}/containers/create?name=${name}`;
    const made = await engine.api('POST', path, { Image: 'busybox', Cmd: ['sleep', '1000'], ...body });
    assert.equal(made.status, 201, made.text);
    return (made.body as { Id: string }).Id;
  };
  const act = async (name: string, action: string) => {
    const { status, text } = await engine.api('POST', `/containers/${name}/${action}`);
    assert.ok(status < 300, text);
  };
  const remove = (name: string) => engine.api('DELETE', `/containers/${name}?force=1`);
  const inspect = async (name: string, version = '') =>
    (await engine.api('GET', `${version}/containers/${name}/json`)).body as {
      HostConfig: Record<string, unknown>;
      NetworkSettings: Record<string, unknown>;
    };

  test('events are written as the client accepts them', async () => {
    await create('told');
    const now = Math.ceil(Date.now() / 1000);
    const read = (accept: string) =>
      new Promise<{ type: string; text: string }>((done, fail) => {
        const options = { socketPath: `${engine.root}/gantry.sock`, headers: { accept } };
        get({ ...options, path: `/events?since=${now - 60}&until=${now}` }, async (response) => {
          const chunks = (await response.toArray()) as Buffer[];
          done({ type: response.headers['content-type'] ?? '', text: Buffer.concat(chunks).toString() });
        }).once('error', fail);
      });
    const plain = await read('*/*');
    assert.equal(plain.type, 'application/json');
    const lines = await read('application/x-unknown, application/jsonl;q=0.9');
    assert.deepEqual(lines, { type: 'application/jsonl', text: plain.text });
    const sequence = await read('application/json-seq');
    assert.equal(sequence.type, 'application/json-seq');
    assert.equal(sequence.text, plain.text.replaceAll(/^(?=.)/gm, '\x1e'));
    await remove('told');
  });

  test('a version that is not spoken is refused; an old one gets its own fields', async () => {
    const old = await engine.api('GET', '/v1.20/containers/json');
    assert.equal(old.status, 400);
    assert.match(message(old.body), /client version 1\.20 is too old\. Minimum supported API version is 1\.24/);
    const young = await engine.api('GET', '/v9.1/version');
    assert.match(message(young.body), /client version 9\.1 is too new\. Maximum supported API version is 1\.56/);
    const images = async (version: string) =>
      ((await engine.api('GET', `${version}/images/json`)).body as Record<string, unknown>[])[0] ?? {};
    assert.deepEqual(Object.keys(await images('/v1.43')).includes('VirtualSize'), true);
    assert.deepEqual(Object.keys(await images('/v1.44')).includes('VirtualSize'), false);
    assert.equal((await engine.api('GET', '/v1.29/distribution/busybox/json')).status, 404);
  });

  test('what belongs to a swarm answers as a host outside one does, and there are no plugins', async () => {
    for (const [method, path] of [
      ['GET', '/swarm'],
      ['GET', '/v1.41/services'],
      ['GET', '/nodes/x'],
      ['POST', '/services/create'],
      ['GET', '/tasks/x/logs'],
      ['GET', '/secrets?filters={}'],
      ['DELETE', '/configs/x'],
    ] as const) {
      const { status, body } = await engine.api(method, path, method === 'POST' ? {} : undefined);
      assert.equal(status, 503, path);
      assert.match(message(body), /^This node is not a swarm manager\. Use "docker swarm init"/, path);
    }
    assert.deepEqual((await engine.api('GET', '/plugins')).body, []);
    assert.deepEqual((await engine.api('GET', '/plugins/ana/x:latest/json')).status, 404);
    assert.equal((await engine.api('POST', '/plugins/pull?remote=x')).status, 501);
    assert.equal((await engine.api('GET', '/nosuch')).status, 404);
  });

  test('a body of the wrong kind is refused, with the place', async () => {
    for (const [body, said] of [
      [{ Image: 5 }, /Image must be a string, not 5/],
      [{ Image: 'busybox', HostConfig: { Binds: 'x' } }, /HostConfig\.Binds must be an array/],
      [{ Image: 'busybox', HostConfig: { PortBindings: { '80/tcp': [{ HostPort: 80 }] } } }, /80\/tcp\[0\]\.HostPort/],
      [[1], /the body must be an object/],
    ] as const) {
      const { status, body: answer } = await engine.api('POST', '/containers/create', body);
      assert.equal(status, 400);
      assert.match(message(answer), said);
    }
  });

  test('every filter of the list of containers', async () => {
    await engine.api('POST', '/networks/create', { Name: 'side' });
    const first = await create('first', { Labels: { tier: 'web' }, HostConfig: { Annotations: { owner: 'ana' } } });
    await create('second', {
      ExposedPorts: { '81/tcp': {} },
      HostConfig: { NetworkMode: 'side', Binds: ['/tmp:/seen', 'kept:/kept'] },
    });
    await create('third', { Cmd: ['sh', '-c', 'exit 3'], HostConfig: { PortBindings: { '80/tcp': [{}] } } });
    await act('first', 'start');
    await act('third', 'start');
    await act('third', 'wait');
    const named = async (filters: object, more = 'all=1') => {
      const path = `/containers/json?${more}&filters=${encodeURIComponent(JSON.stringify(filters))}`;
      const { status, body, text } = await engine.api('GET', path);
      assert.equal(status, 200, text);
      return (body as Row[]).map(({ Names }) => Names[0]?.slice(1)).toSorted();
    };
    assert.deepEqual(await named({ id: [first.slice(0, 12)] }), ['first']);
    assert.deepEqual(await named({ name: ['^/sec', 'thi'] }), ['second', 'third']);
    assert.deepEqual(await named({ label: ['tier=web'] }), ['first']);
    assert.deepEqual(await named({ annotation: ['owner'] }), ['first']);
    assert.deepEqual(await named({ status: ['exited'] }, ''), ['third']);
    assert.deepEqual(await named({ exited: ['3'] }), ['third']);
    assert.deepEqual(await named({ exited: ['0'] }), []);
    assert.deepEqual(await named({ before: ['third'] }), ['first', 'second']);
    assert.deepEqual(await named({ since: ['first'] }), ['second', 'third']);
    assert.deepEqual(await named({ volume: ['kept'] }), ['second']);
    assert.deepEqual(await named({ volume: ['/seen'] }), ['second']);
    assert.deepEqual(await named({ network: ['side'] }), ['second']);
    assert.deepEqual(await named({ publish: ['79-80/tcp'] }), ['third']);
    assert.deepEqual(await named({ expose: ['81'] }), ['second']);
    assert.deepEqual(await named({ health: ['none'], ancestor: ['busybox:latest'] }), ['first', 'second', 'third']);
    assert.deepEqual(await named({ 'is-task': ['true'] }), []);
    assert.deepEqual(await named({}, 'limit=1'), ['third']);
    for (const filters of [{ status: ['odd'] }, { publish: ['x'] }, { exited: ['x'] }, { name: ['('] }])
      assert.equal(
        (await engine.api('GET', `/containers/json?filters=${encodeURIComponent(JSON.stringify(filters))}`)).status,
        400,
      );
    for (const name of ['first', 'second', 'third']) await remove(name);
    await engine.api('DELETE', '/networks/side');
    await engine.api('DELETE', '/volumes/kept');
  });

  test('sizes are those of what a container wrote', async () => {
    await create('sized', { Cmd: ['sh', '-c', 'head -c 100000 /dev/zero > /zeros'] });
    await act('sized', 'start');
    await act('sized', 'wait');
    const [row] = (await engine.api('GET', '/containers/json?all=1&size=1')).body as Row[];
    assert.equal(row?.SizeRw, 100_000);
    assert.ok((row?.SizeRootFs ?? 0) > 1_000_000);
    const [plain] = (await engine.api('GET', '/containers/json?all=1')).body as Row[];
    assert.equal(plain?.SizeRw, undefined);
    await remove('sized');
  });

  test('diff and commit have nothing of what the engine mounts on', async () => {
    await create('clean', { HostConfig: { Binds: ['/tmp:/new/place'] } });
    await act('clean', 'start');
    const changes = (await engine.api('GET', '/containers/clean/changes')).body as { Path: string }[];
    assert.deepEqual(
      changes.map(({ Path }) => Path).filter((path) => !path.startsWith('/new')),
      [],
    );
    await engine.api('POST', '/containers/clean/restart?t=0');
    assert.doesNotMatch(JSON.stringify((await engine.api('GET', '/containers/clean/changes')).body), /etc|proc|dev/);
    await remove('clean');
  });

  test('HostConfig comes back as it was given', async () => {
    const given = {
      Binds: ['/tmp:/seen:ro'],
      NetworkMode: 'none',
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 },
      Memory: 64 << 20,
      MemoryReservation: 32 << 20,
      MemorySwap: 128 << 20,
      CpuShares: 512,
      CpuPeriod: 100_000,
      CpuQuota: 50_000,
      PidsLimit: 100,
      CapAdd: ['NET_ADMIN'],
      CapDrop: ['CHOWN'],
      Dns: ['192.0.2.1'],
      DnsOptions: ['ndots:2'],
      DnsSearch: ['example.org'],
      ExtraHosts: ['a:192.0.2.2'],
      GroupAdd: ['50'],
      IpcMode: 'shareable',
      OomScoreAdj: 10,
      PidMode: 'host',
      Privileged: true,
      PublishAllPorts: true,
      ReadonlyRootfs: true,
      SecurityOpt: ['no-new-privileges'],
      ShmSize: 1 << 20,
      Sysctls: { 'net.ipv4.ip_forward': '1' },
      Tmpfs: { '/run': 'size=1m' },
      UTSMode: 'host',
      Ulimits: [{ Name: 'nofile', Soft: 100, Hard: 200 }],
      Init: true,
      Annotations: { owner: 'ana' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1048576', 'max-file': '2' } },
      Mounts: [{ Type: 'volume', Source: 'back', Target: '/back', VolumeOptions: { NoCopy: true } }],
      Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/x', CgroupPermissions: 'r' }],
      DeviceCgroupRules: ['c 1:3 r'],
      MaskedPaths: ['/proc/keys'],
      ReadonlyPaths: ['/proc/sys'],
      CgroupnsMode: 'private',
      ConsoleSize: [24, 80],
    };
    await create('back', { HostConfig: given });
    const { HostConfig } = await inspect('back');
    const shown = Object.fromEntries(Object.keys(given).map((key) => [key, HostConfig[key]]));
    assert.deepEqual(shown, given);
    await remove('back');
    await engine.api('DELETE', '/volumes/back');
  });

  test('a network that is disabled, a shell for the health check, instructions for builds upon it', async () => {
    await create('apart', {
      NetworkDisabled: true,
      Cmd: ['sh', '-c', 'exec sleep 1000'],
      Shell: ['/bin/echo', 'checked by'],
      OnBuild: ['RUN echo later'],
      Healthcheck: { Test: ['CMD-SHELL', 'the line'], Interval: 20_000_000, Retries: 1 },
      HostConfig: { KernelMemoryTCP: 8 << 20 },
    });
    await act('apart', 'start');
    const { Config, HostConfig, State } = (await inspect('apart')) as unknown as Record<
      string,
      Record<string, unknown>
    >;
    assert.deepEqual(
      [Config?.NetworkDisabled, Config?.OnBuild, Config?.Shell?.toString()],
      [...[true, ['RUN echo later'], '/bin/echo,checked by']],
    );
    assert.ok(HostConfig?.KernelMemoryTCP === 8 << 20 || HostConfig?.KernelMemoryTCP === undefined); // not of cgroup v2
    assert.equal(readdirSync(`/proc/${State?.Pid}/root/sys/class/net`).join(), 'lo');
    const line = await until(async () => {
      const { State: now } = (await inspect('apart')) as unknown as {
        State: { Health: { Log: { Output: string }[] } };
      };
      return now.Health.Log[0]?.Output;
    });
    assert.equal(line, 'checked by the line\n');
    await engine.api('POST', '/commit?container=apart&repo=apart');
    const image = (await engine.api('GET', '/images/apart/json')).body as { Config: Record<string, unknown> };
    assert.deepEqual([image.Config.OnBuild, image.Config.Shell], [['RUN echo later'], ['/bin/echo', 'checked by']]);
    await remove('apart');
  });

  test('a create that cannot be is refused in Docker\u2019s words', async () => {
    for (const [status, said, body] of [
      [501, /supported only for overlay over xfs with 'pquota'/, { HostConfig: { StorageOpt: { size: '1G' } } }],
      [400, /Unknown option speed/, { HostConfig: { StorageOpt: { speed: '1' } } }],
      [400, /Invalid isolation: "hyperv" - linux only supports 'default'/, { HostConfig: { Isolation: 'hyperv' } }],
      [400, /linux does not support configuration of maximum IOPs/, { HostConfig: { IOMaximumIOps: 3 } }],
      [400, /linux does not support configuration of maximum bandwidth/, { HostConfig: { IOMaximumBandwidth: 3 } }],
      [400, /error looking up volume plugin nfs: plugin "nfs" not found/, { HostConfig: { VolumeDriver: 'nfs' } }],
      [400, /Interval in Healthcheck cannot be less than 1ms/, { Healthcheck: { Test: ['CMD', 'x'], Interval: 3 } }],
      [400, /Retries in Healthcheck cannot be negative/, { Healthcheck: { Test: ['CMD', 'x'], Retries: -1 } }],
      [400, /unknown type "CMDS"/, { Healthcheck: { Test: ['CMDS', 'x'] } }],
      [400, /bad format for add-host: "bad"/, { HostConfig: { ExtraHosts: ['bad'] } }],
      [400, /invalid IP address in add-host: "1\.2\.3"/, { HostConfig: { ExtraHosts: ['a:1.2.3'] } }],
      [400, /invalid DNS server: "bad"/, { HostConfig: { Dns: ['bad'] } }],
      [400, /invalid MAC address "bad"/, { MacAddress: 'bad' }],
      [400, /invalid port "99999\/tcp"/, { ExposedPorts: { '99999/tcp': {} } }],
      [400, /could not get container for gone: No such container: gone/, { HostConfig: { Links: ['gone:x'] } }],
    ] as const) {
      const refused = await engine.api('POST', '/containers/create', { Image: 'busybox', Cmd: ['true'], ...body });
      assert.equal(refused.status, status, refused.text);
      assert.match(message(refused.body), said);
    }
    for (const good of ['a:host-gateway', 'a=10.0.0.1', 'a:::1', 'a:[fd00::1]'])
      await engine.api('DELETE', `/containers/${await create('good', { HostConfig: { ExtraHosts: [good] } })}`);
  });

  test('a umask holds for the process and for execs in it', async () => {
    await create('masked', { Cmd: ['sh', '-c', 'umask; sleep 1000'], HostConfig: { Umask: '0027' } });
    await act('masked', 'start');
    const { stdout } = await engine.gantry(['exec', 'masked', 'sh', '-c', 'umask']);
    assert.equal(stdout, '0027\n');
    assert.equal((await inspect('masked')).HostConfig.Umask, '0027');
    await remove('masked');
  });

  test('an old client finds the bridge’s address where it was', async () => {
    await create('addressed');
    await act('addressed', 'start');
    const old = (await inspect('addressed', '/v1.51')).NetworkSettings;
    assert.match(String(old.IPAddress), /^\d+\.\d+\.\d+\.\d+$/);
    assert.equal((await inspect('addressed', '/v1.52')).NetworkSettings.IPAddress, undefined);
    await remove('addressed');
  });

  test('wait answers at the next exit, and at the removal', async () => {
    await create('waited', { Cmd: ['sh', '-c', 'exit 4'], HostConfig: { AutoRemove: true } });
    const removed = engine.api('POST', '/containers/waited/wait?condition=removed');
    const exit = engine.api('POST', '/containers/waited/wait?condition=next-exit');
    assert.deepEqual((await engine.api('POST', '/containers/waited/wait')).body, { StatusCode: 0 });
    await act('waited', 'start');
    assert.deepEqual((await exit).body, { StatusCode: 4 });
    assert.deepEqual((await removed).body, { StatusCode: 4 });
  });

  test('an image for another platform is not found where one was asked for, and warned of where none was', async () => {
    const { busyboxRootfs } = await import('../harness/images.ts');
    await engine.api('POST', '/images/create?fromSrc=-&repo=foreign&platform=linux/s390x', busyboxRootfs());
    const asked = await engine.api('POST', '/containers/create?platform=linux/amd64', { Image: 'foreign' });
    assert.equal(asked.status, 404);
    assert.match(message(asked.body), /does not match the specified platform/);
    const made = await engine.api('POST', '/containers/create?name=foreign', { Image: 'foreign', Cmd: ['x'] });
    assert.match(JSON.stringify(made.body), /requested image's platform \(linux\/s390x\) does not match/);
    await remove('foreign');
  });
});
