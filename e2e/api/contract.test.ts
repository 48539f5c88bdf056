import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { type Hub, startHub } from '../harness/hub.ts';
import { busyboxRootfs } from '../harness/images.ts';
import { type Answer, type CallOptions, call, maskedFrame, upgrade } from './api-caller.ts';
import { type Description, dockersDescription, nothing, servedDescription, specPath } from './descriptions.ts';

/** Not of this engine, which answers them as a host outside a swarm does (see outside.test.ts). */
const outside = new Set([
  ...['Swarm', 'Node', 'Service', 'Task', 'Secret', 'Config', 'Plugin', 'Session (experimental)', 'Session'],
]);

/** Where Docker's answers are not as its description says: these are null while nobody asked for them. */
const dockersOwn = new Set([
  '/HostConfig/MemorySwappiness must be integer {"type":"integer"}',
  '/HostConfig/OomKillDisable must be boolean {"type":"boolean"}',
]);

/** Every operation is called for real, and what it answers is held against Docker's description and the engine's own. */
describe('the contract', () => {
  let engine: Engine;
  let hub: Hub;
  let served: Description;
  let docker: Description | undefined;
  let scratch: string;
  const problems: string[] = [];
  const validated = new Map<string, Set<number>>();

  before(async () => {
    [engine, hub] = await Promise.all([startEngine(), startHub()]);
    await hub.addUser('ana', 'correct horse');
    scratch = mkdtempSync(`${tmpdir()}/gantry-contract-`);
    const { values } = await call(`${engine.root}/gantry.sock`, 'GET', '/openapi.json');
    served = servedDescription(values[0] as Parameters<typeof servedDescription>[0]);
    const path = specPath();
    if (path === undefined)
      console.log('Docker\u2019s API description is not at hand: answers are checked against the engine\u2019s own.');
    else docker = dockersDescription(path);
  });
  after(async () => {
    await engine[Symbol.asyncDispose]();
    await hub[Symbol.asyncDispose]();
    rmSync(scratch, { recursive: true, force: true });
  });

  /** Gantry's additions are in fields of that name only. */
  const asDocker = (value: unknown): unknown =>
    typeof value === 'object' && value !== null && 'Gantry' in value
      ? Object.fromEntries(Object.entries(value).filter(([key]) => key !== 'Gantry'))
      : value;

  function judge(id: string, { status, values, headers, body }: Answer): void {
    const seen = validated.get(id) ?? new Set();
    validated.set(id, seen.add(status));
    const isJson = String(headers['content-type'] ?? '').startsWith('application/json');
    if (isJson && values.length === 0 && body.length > 0)
      problems.push(`${id} ${status}: the body is not JSON: ${body}`);
    for (const [name, description] of [
      ['its own description', served],
      ['Docker\u2019s', docker],
    ] as const) {
      if (description === undefined || (name !== 'its own description' && !description.operations.has(id))) continue;
      // Docker's file leaves the errors out that every operation may have.
      if (name !== 'its own description' && [400, 409, 501, 503].includes(status)) continue;
      // Archives and output have no schema; an answer to HEAD has no body.
      for (const item of values.length === 0 ? [nothing] : values)
        for (const problem of description.check(id, status, name === 'its own description' ? item : asDocker(item)))
          if (!dockersOwn.has(problem)) problems.push(`${id} ${status} against ${name}: ${problem}`);
    }
  }

  const socket = () => `${engine.root}/gantry.sock`;
  /** Calls an operation by its id, checks the answer, and returns it. */
  async function ask(id: string, path: string, expected: number, options: CallOptions = {}): Promise<Answer> {
    const operation = served.operations.get(id) ?? docker?.operations.get(id);
    assert.ok(operation !== undefined, `${id} is in neither description`);
    const answer = await call(socket(), operation.method, `/v1.56${path}`, options);
    judge(id, answer);
    assert.equal(answer.status, expected, `${id} ${path}: ${answer.body.toString('utf8').slice(0, 500)}`);
    return answer;
  }
  const first = <T>(answer: Answer): T => answer.values[0] as T;
  const header = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const tarOf = (name: string, text: string): Buffer => {
    const folder = `${scratch}/${randomBytes(4).toString('hex')}`;
    mkdirSync(folder);
    writeFileSync(`${folder}/${name}`, text);
    const { status } = spawnSync('tar', ['-C', folder, '-cf', `${folder}.tar`, '.']);
    assert.equal(status, 0);
    return readFileSync(`${folder}.tar`);
  };

  test('system', async () => {
    const ping = await ask('SystemPing', '/_ping', 200);
    assert.equal(ping.body.toString(), 'OK');
    for (const [name, value] of Object.entries({
      'api-version': '1.51',
      'builder-version': '1',
      'docker-experimental': 'false',
      ostype: 'linux',
      swarm: 'inactive',
      pragma: 'no-cache',
    }))
      assert.equal(ping.headers[name], value, name);
    await ask('SystemPingHead', '/_ping', 200);
    await ask('SystemVersion', '/version', 200);
    await ask('SystemInfo', '/info', 200);
    const credentials = { username: 'ana', password: 'correct horse', serveraddress: hub.address };
    await ask('SystemAuth', '/auth', 200, { json: credentials });
    await ask('SystemAuth', '/auth', 401, { json: { ...credentials, password: 'wrong' } });
  });

  test('images and registries', async () => {
    const name = `${hub.address}/ana/box`;
    const auth = {
      'x-registry-auth': header({ username: 'ana', password: 'correct horse', serveraddress: hub.address }),
    };
    await ask('ImageCreate', '/images/create?fromSrc=-&repo=imported&tag=v1&changes=LABEL+a%3Db', 200, {
      body: busyboxRootfs(),
    });
    await ask('ImageTag', `/images/imported:v1/tag?repo=${name}&tag=v1`, 201);
    await ask('ImageTag', '/images/nosuch/tag?repo=x', 404);
    const push = await ask('ImagePush', `/images/${name}/push?tag=v1`, 200, { headers: auth });
    assert.match(push.body.toString(), /"Digest":"sha256:/);
    await ask('ImagePush', '/images/nosuch/push', 404);
    await ask('DistributionInspect', `/distribution/${name}:v1/json`, 200, { headers: auth });
    await ask('DistributionInspect', `/distribution/${hub.address}/ana/hidden/json`, 401);
    const found = await ask('ImageSearch', `/images/search?term=${hub.address}/box&limit=5`, 200, { headers: auth });
    assert.match(found.body.toString(), /ana\/box/);
    await ask('ImageSearch', '/images/search?term=x&limit=1000', 400);
    await ask('ImageCreate', `/images/create?fromImage=${name}&tag=v1`, 200, { headers: auth });
    await ask('ImageList', '/images/json?manifests=1&shared-size=1&digests=1', 200);
    await ask('ImageList', `/images/json?filters=${encodeURIComponent('{"nosuch":["x"]}')}`, 400);
    const { Id } = first<{ Id: string }>(await ask('ImageInspect', '/images/imported:v1/json?manifests=1', 200));
    const other = encodeURIComponent('{"os":"linux","architecture":"s390x"}');
    await ask('ImageInspect', `/images/imported:v1/json?platform=${other}`, 404);
    await ask('ImageInspect', '/images/nosuch/json', 404);
    await ask('ImageAttestations', '/images/imported:v1/attestations', 200);
    await ask('ImageHistory', '/images/imported:v1/history', 200);
    await ask('ImageHistory', '/images/nosuch/history', 404);
    const archive = await ask('ImageGet', '/images/imported:v1/get', 200);
    await ask('ImageGetAll', `/images/get?names=imported:v1&names=${name}:v1`, 200);
    await ask('ImageLoad', '/images/load?quiet=0', 200, { body: archive.body });
    await ask('ImageDelete', '/images/nosuch', 404);
    await ask('ImageDelete', `/images/${name}:v1`, 200);
    await ask('ImageDelete', `/images/${Id}?force=1`, 200);
    await ask('ImageCreate', '/images/create?fromSrc=-', 200, { body: tarOf('note', 'x') });
    await ask('ImagePrune', '/images/prune', 200);
  });

  test('builds', async () => {
    const built = await ask('ImageBuild', '/build?t=built', 200, {
      body: tarOf('Dockerfile', 'FROM busybox\nRUN echo x > /x\n'),
    });
    assert.match(built.body.toString(), /Successfully tagged built:latest/);
    await ask('ImageBuild', '/build?version=2', 501, { body: tarOf('Dockerfile', 'FROM busybox\n') });
    await ask('BuildPrune', '/build/prune?all=1', 200);
    await ask('GantryBuildCache', '/gantry/build/cache', 200);
  });

  test('networks and volumes', async () => {
    const { Id } = first<{ Id: string }>(
      await ask('NetworkCreate', '/networks/create', 201, { json: { Name: 'contract', Labels: { a: 'b' } } }),
    );
    await ask('NetworkCreate', '/networks/create', 409, { json: { Name: 'contract' } });
    await ask('NetworkList', '/networks', 200);
    await ask('NetworkInspect', `/networks/${Id}?verbose=0&scope=local`, 200);
    await ask('NetworkInspect', '/networks/nosuch', 404);
    const box = first<{ Id: string }>(
      await ask('ContainerCreate', '/containers/create', 201, { json: { Image: 'busybox', Cmd: ['sleep', '100'] } }),
    ).Id;
    await ask('NetworkConnect', `/networks/${Id}/connect`, 200, { json: { Container: box, EndpointConfig: null } });
    await ask('NetworkConnect', '/networks/nosuch/connect', 404, { json: { Container: box } });
    await ask('NetworkInspect', '/networks/contract', 200);
    await ask('NetworkDisconnect', `/networks/${Id}/disconnect`, 200, { json: { Container: box, Force: false } });
    await ask('NetworkDisconnect', '/networks/nosuch/disconnect', 404, { json: { Container: box } });
    await ask('NetworkDelete', `/networks/${Id}`, 204);
    await ask('NetworkDelete', '/networks/nosuch', 404);
    await ask('NetworkDelete', '/networks/bridge', 403);
    await ask('NetworkPrune', '/networks/prune', 200);

    await ask('VolumeCreate', '/volumes/create', 201, { json: { Name: 'kept', Labels: { a: 'b' } } });
    await ask('VolumeCreate', '/volumes/create', 201, { json: {} });
    await ask('VolumeList', '/volumes', 200);
    await ask('VolumeInspect', '/volumes/kept', 200);
    await ask('VolumeInspect', '/volumes/nosuch', 404);
    await ask('VolumeUpdate', '/volumes/nosuch?version=1', 503, { json: { Spec: {} } });
    await ask('SystemDataUsage', '/system/df?verbose=1', 200);
    await ask('SystemDataUsage', '/system/df?type=image&type=volume', 200);
    await ask('VolumePrune', '/volumes/prune', 200);
    await ask('VolumeDelete', '/volumes/kept', 204);
    await ask('VolumeDelete', '/volumes/kept', 404);
    await ask('ContainerDelete', `/containers/${box}`, 204);
  });

  test('containers', async () => {
    const json = {
      Image: 'busybox',
      Cmd: ['sh', '-c', 'echo out; echo err >&2; exec sleep 1000'],
      Labels: { a: 'b' },
      ExposedPorts: { '80/tcp': {} },
      Healthcheck: { Test: ['CMD', 'true'], Interval: 1e9 },
      HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1' }] }, Memory: 64 << 20 },
    };
    const { Id: id } = first<{ Id: string }>(
      await ask('ContainerCreate', '/containers/create?name=one', 201, { json }),
    );
    await ask('ContainerCreate', '/containers/create?name=one', 409, { json });
    await ask('ContainerCreate', '/containers/create', 404, { json: { Image: 'nosuch' } });
    await ask('ContainerCreate', '/containers/create', 400, {
      json: { Image: 'busybox', HostConfig: { Memory: 'x' } },
    });
    await ask('ContainerCreate', '/containers/create?platform=linux/s390x', 404, { json });
    const events = call(socket(), 'GET', `/v1.56/events?since=${Math.floor(Date.now() / 1000) - 60}`, { lines: 5 });
    await ask('ContainerStart', `/containers/${id}/start`, 204);
    await ask('ContainerStart', `/containers/${id}/start`, 304);
    await ask('ContainerStart', '/containers/nosuch/start', 404);
    judge('SystemEvents', await events);
    await ask('SystemEvents', '/events?filters=x', 400);

    await ask('ContainerList', '/containers/json?all=1&size=1', 200);
    await ask('ContainerList', '/containers/json?limit=x', 400);
    await ask('ContainerInspect', '/containers/one/json?size=1', 200);
    await ask('ContainerInspect', '/containers/nosuch/json', 404);
    await ask('ContainerTop', '/containers/one/top', 200);
    await ask('ContainerTop', '/containers/nosuch/top', 404);
    const logs = await ask('ContainerLogs', '/containers/one/logs?stdout=1&stderr=1&follow=1', 200, { lines: 2 });
    assert.equal(logs.headers['content-type'], 'application/vnd.docker.multiplexed-stream');
    await ask('ContainerLogs', '/containers/nosuch/logs?stdout=1', 404);
    await ask('ContainerStats', '/containers/one/stats?stream=0&one-shot=1', 200);
    await ask('ContainerStats', '/containers/one/stats', 200, { lines: 2 });
    await ask('ContainerStats', '/containers/nosuch/stats', 404);
    await ask('ContainerUpdate', '/containers/one/update', 200, { json: { Memory: 128 << 20, MemorySwap: -1 } });
    await ask('ContainerUpdate', '/containers/nosuch/update', 404, { json: {} });
    await ask('ContainerPause', '/containers/one/pause', 204);
    await ask('ContainerInspect', '/containers/one/json', 200);
    await ask('ContainerUnpause', '/containers/one/unpause', 204);
    await ask('ContainerPause', '/containers/nosuch/pause', 404);
    await ask('ContainerUnpause', '/containers/nosuch/unpause', 404);
    await ask('ContainerRename', '/containers/one/rename?name=two', 204);
    await ask('ContainerRename', '/containers/nosuch/rename?name=x', 404);
    await ask('ContainerRestart', '/containers/two/restart?t=0', 204);
    await ask('ContainerRestart', '/containers/nosuch/restart', 404);
    await ask('GantryContainerSpans', '/gantry/containers/two/spans', 200);

    await ask('PutContainerArchive', '/containers/two/archive?path=/tmp', 200, { body: tarOf('note', 'hello') });
    await ask('PutContainerArchive', '/containers/two/archive?path=/nosuch', 404, { body: tarOf('note', 'hello') });
    const stat = await ask('ContainerArchiveInfo', '/containers/two/archive?path=/tmp/note', 200);
    assert.match(
      Buffer.from(String(stat.headers['x-docker-container-path-stat']), 'base64').toString(),
      /"name":"note","size":5/,
    );
    await ask('ContainerArchiveInfo', '/containers/two/archive?path=/nosuch', 404);
    await ask('ContainerArchive', '/containers/two/archive?path=/tmp', 200);
    await ask('ContainerArchive', '/containers/two/archive?path=/nosuch', 404);
    await ask('ContainerArchive', '/containers/two/archive', 400);
    const changes = await ask('ContainerChanges', '/containers/two/changes', 200);
    assert.deepEqual(first(changes), [
      { Path: '/tmp', Kind: 0 },
      { Path: '/tmp/note', Kind: 1 },
    ]);
    await ask('ContainerChanges', '/containers/nosuch/changes', 404);
    await ask('ContainerExport', '/containers/two/export', 200);
    await ask('ContainerExport', '/containers/nosuch/export', 404);
    await ask('ImageCommit', '/commit?container=two&repo=kept&tag=v1&author=ana', 201, {
      json: { Labels: { c: 'd' } },
    });
    await ask('ImageCommit', '/commit?container=nosuch', 404, { json: {} });

    const exec = first<{ Id: string }>(
      await ask('ContainerExec', '/containers/two/exec', 201, { json: { Cmd: ['echo', 'hi'], AttachStdout: true } }),
    ).Id;
    await ask('ContainerExec', '/containers/nosuch/exec', 404, { json: { Cmd: ['x'] } });
    const said = await ask('ExecStart', `/exec/${exec}/start`, 200, { json: { Detach: false } });
    assert.equal(said.body.subarray(8).toString(), 'hi\n');
    await ask('ExecStart', `/exec/${exec}/start`, 409, { json: {} });
    await ask('ExecInspect', `/exec/${exec}/json`, 200);
    await ask('ExecInspect', '/exec/nosuch/json', 404);
    await ask('GantryExecWait', `/gantry/exec/${exec}/wait`, 200);
    await ask('GantryExecWait', '/gantry/exec/nosuch/wait', 404);
    const shell = first<{ Id: string }>(
      await ask('ContainerExec', '/containers/two/exec', 201, { json: { Cmd: ['sleep', '100'], Tty: true } }),
    ).Id;
    await ask('ExecStart', `/exec/${shell}/start`, 200, { json: { Detach: true, Tty: true } });
    await ask('ExecResize', `/exec/${shell}/resize?h=10&w=20`, 200);
    await ask('ExecResize', '/exec/nosuch/resize?h=10&w=20', 404);
    await ask('ExecResize', `/exec/${shell}/resize?h=ten&w=20`, 400);

    let waits = () => {};
    const headed = new Promise<void>((resolve) => {
      waits = resolve;
    });
    const ended = ask('ContainerWait', '/containers/two/wait?condition=next-exit', 200, { onHead: waits });
    await headed;
    await ask('ContainerKill', '/containers/two/kill?signal=KILL', 204);
    assert.deepEqual(first(await ended), { StatusCode: 137 });
    await ask('ContainerWait', '/containers/two/wait?condition=never', 400);
    await ask('ContainerWait', '/containers/nosuch/wait', 404);
    await ask('ContainerKill', '/containers/two/kill', 409);
    await ask('ContainerKill', '/containers/nosuch/kill', 404);
    await ask('ContainerInspect', '/containers/two/json', 200);
    await ask('ContainerStop', '/containers/two/stop', 304);
    await ask('ContainerStop', '/containers/nosuch/stop', 404);
    await ask('ContainerDelete', '/containers/nosuch', 404);
    await ask('ContainerPrune', '/containers/prune', 200);
  });

  test('attach, by upgrade, plainly and by WebSocket', async () => {
    const interactive = { Image: 'busybox', Cmd: ['cat'], OpenStdin: true, StdinOnce: true };
    for (const name of ['tcp', 'ws', 'tty'])
      await ask('ContainerCreate', `/containers/create?name=${name}`, 201, {
        json: { ...interactive, Tty: name === 'tty' },
      });
    await ask('ContainerStart', '/containers/tcp/start', 204);
    const streams = 'stream=1&stdin=1&stdout=1&stderr=1';
    let asked = false;
    const tcp = await upgrade(
      socket(),
      [`POST /v1.56/containers/tcp/attach?${streams} HTTP/1.1`, 'Upgrade: tcp'],
      (connection) => {
        if (!asked) connection.end('typed\n');
        asked = true;
      },
    );
    assert.equal(tcp.status, 101);
    assert.equal(tcp.rest.subarray(8).toString(), 'typed\n');
    judge('ContainerAttach', { status: 101, headers: {}, body: tcp.rest, values: [] });
    const plain = await ask('ContainerAttach', '/containers/tcp/attach?logs=1&stdout=1&stream=0', 200);
    assert.equal(plain.body.subarray(8).toString(), 'typed\n');
    await ask('ContainerAttach', '/containers/nosuch/attach?stream=1', 404);

    await ask('ContainerStart', '/containers/ws/start', 204);
    const key = randomBytes(16).toString('base64');
    let sent = false;
    const ws = await upgrade(
      socket(),
      [
        `GET /v1.56/containers/ws/attach/ws?${streams} HTTP/1.1`,
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        `Sec-WebSocket-Key: ${key}`,
      ],
      (connection, soFar) => {
        if (!sent) connection.write(Buffer.concat([maskedFrame(9, 'alive?'), maskedFrame(2, 'through\n')]));
        sent = true;
        if (soFar.includes('through\n')) connection.write(maskedFrame(8, ''));
      },
    );
    assert.equal(ws.status, 101);
    assert.match(ws.headers, /sec-websocket-accept/i);
    assert.ok(ws.rest.includes(Buffer.from([0x8a, 6, ...Buffer.from('alive?')])), 'a ping is answered');
    assert.ok(ws.rest.includes(Buffer.from([0x82, 8, ...Buffer.from('through\n')])), ws.rest.toString('latin1'));
    judge('ContainerAttachWebsocket', { status: 101, headers: {}, body: ws.rest, values: [] });
    await ask('ContainerAttachWebsocket', '/containers/nosuch/attach/ws', 404);

    await ask('ContainerStart', '/containers/tty/start', 204);
    await ask('ContainerResize', '/containers/tty/resize?h=10&w=20', 200);
    await ask('ContainerResize', '/containers/nosuch/resize?h=10&w=20', 404);
    await ask('ContainerStop', '/containers/tty/stop?t=0', 204);
    await ask('ContainerDelete', '/containers/tty?force=1&v=1', 204);
  });

  test('what is Gantry\u2019s own', async () => {
    await ask('GantryDescription', '/openapi.json', 200);
    await ask('GantryCheck', '/gantry/check?quick=1', 200);
    const session = randomBytes(16).toString('hex');
    await ask('GantryBuildSecrets', `/gantry/build/${session}/secrets`, 204, { json: { key: 'dmFsdWU=' } });
    await ask('GantryBuildSecrets', '/gantry/build/short/secrets', 400, { json: {} });
  });

  test('nothing is missing, and nothing is otherwise than described', () => {
    /** These need a build that runs meanwhile: e2e/build and e2e/cli have them. */
    const elsewhere = new Set([
      'GantryBuildContext',
      'GantryBuildContextList',
      'GantryBuildOutput',
      'GantryCacheMountExport',
      'GantryCacheMountImport',
    ]);
    const known = docker ?? served;
    const wanted = [...known.operations.values()].filter(
      ({ id, tags }) => !elsewhere.has(id) && !tags.some((tag) => outside.has(tag)),
    );
    const own = [...served.operations.values()].filter(({ id }) => id.startsWith('Gantry') && !elsewhere.has(id));
    const rows = [...new Map([...wanted, ...own].map((operation) => [operation.id, operation])).values()].map(
      ({ id, method, path }) => {
        const statuses = [...(validated.get(id) ?? [])].toSorted();
        const wrong = problems.some((problem) => problem.startsWith(`${id} `));
        return {
          operation: `${id.padEnd(26)} ${method.padEnd(6)} ${path.padEnd(38)}`,
          implemented: served.operations.has(id),
          succeeded: statuses.some((status) => status < 400) || id === 'VolumeUpdate',
          validated: wrong ? 'WRONG' : statuses.join(' '),
        };
      },
    );
    for (const { operation, implemented, validated: statuses } of rows)
      console.log(`${operation} → ${implemented ? 'implemented' : 'MISSING'} → ${statuses || 'NOT CALLED'}`);
    assert.deepEqual([...new Set(problems)], [], 'answers that are not as described');
    assert.deepEqual(
      rows.filter((row) => !row.implemented || !row.succeeded).map(({ operation }) => operation.trim()),
      [],
      'operations that are missing or never succeeded',
    );
  });
});
