import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { gantryProgram, type Outcome, run } from '../harness/program.ts';

const noDocker = spawnSync('docker', ['--version']).status !== 0 && 'no docker client on this machine';

describe("contexts and the client's configuration", () => {
  let engine: Engine;
  let folder: string;
  before(async () => {
    engine = await startEngine();
    folder = `${engine.root}/client`;
    execFileSync('mkdir', [folder]);
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
        ...['-subj', '/CN=gantry', '-keyout', `${engine.root}/key.pem`, '-out', `${engine.root}/cert.pem`],
      ],
      { stdio: 'ignore' },
    );
  });
  after(() => engine[Symbol.asyncDispose]());

  /** Neither client is told of an engine but by its configuration. */
  const env = (more: Readonly<Record<string, string>> = {}) => ({
    GANTRY_HOST: '',
    DOCKER_HOST: '',
    DOCKER_CONTEXT: '',
    DOCKER_CONFIG: folder,
    ...more,
  });
  const ours = (args: readonly string[], more = {}) => run(gantryProgram, args, { env: env(more), cwd: engine.root });
  const theirs = (args: readonly string[], more = {}) => run('docker', args, { env: env(more), cwd: engine.root });
  const ok = async (args: readonly string[], more = {}) => {
    const { code, stdout, stderr } = await ours(args, more);
    assert.equal(code, 0, `gantry ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const configure = (config: object) => writeFileSync(`${folder}/config.json`, JSON.stringify(config));

  test('a context says where the engine is: by flag, by variable, and once it is chosen', async () => {
    const made = await ours([
      'context',
      'create',
      'here',
      '--docker',
      `host=${engine.host}`,
      '--description',
      'this one',
    ]);
    assert.deepEqual(made, { code: 0, stdout: 'here\n', stderr: 'Successfully created context "here"\n' });
    assert.match(await ok(['-c', 'here', 'images']), /^busybox/m);
    assert.match(await ok(['images'], { DOCKER_CONTEXT: 'here' }), /^busybox/m);
    assert.equal(await ok(['context', 'show']), 'default\n');
    assert.equal(await ok(['context', 'use', 'here']), 'here\n');
    assert.match(await ok(['images']), /^busybox/m);
    assert.equal(await ok(['context', 'show']), 'here\n');
    assert.equal(await ok(['context', 'show'], { GANTRY_HOST: 'unix:///elsewhere' }), 'default\n');
    assert.match((await ours(['ps'], { GANTRY_HOST: 'unix:///elsewhere' })).stderr, /unix:\/\/\/elsewhere/);
    const both = await ours(['-H', engine.host, '-c', 'here', 'ps']);
    assert.match(both.stderr, /cannot specify both --host and --context/);
    assert.match((await ours(['-c', 'nosuch', 'ps'])).stderr, /context "nosuch": context not found/);
    assert.equal(
      (await ours(['context', 'rm', 'here'])).stderr,
      'context "here" is in use, set -f flag to force remove\n',
    );
    await ok(['context', 'use', 'default']);
    assert.equal(JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')).currentContext, undefined);
  });

  test('keys go with a context, only for its owner to read, through export and import', async () => {
    const tls = `host=tcp://127.0.0.1:1,ca=${engine.root}/cert.pem,cert=${engine.root}/cert.pem,key=${engine.root}/key.pem`;
    await ok(['context', 'create', 'far', '--docker', tls]);
    const inspected = JSON.parse(await ok(['context', 'inspect', 'far']))[0];
    assert.deepEqual(inspected.TLSMaterial, { docker: ['ca.pem', 'cert.pem', 'key.pem'] });
    assert.equal(statSync(`${inspected.Storage.TLSPath}/docker/key.pem`).mode & 0o777, 0o600);
    await ok(['context', 'export', 'far']);
    assert.equal((await ours(['context', 'export', 'far'])).stderr, 'open far.dockercontext: file exists\n');
    await ok(['context', 'import', 'again', 'far.dockercontext']);
    const again = JSON.parse(await ok(['context', 'inspect', 'again']))[0];
    assert.equal(
      readFileSync(`${again.Storage.TLSPath}/docker/key.pem`, 'utf8'),
      readFileSync(`${engine.root}/key.pem`, 'utf8'),
    );
    await ok(['context', 'update', 'again', '--description', 'a copy']);
    assert.equal(await ok(['context', 'inspect', '-f', '{{.Metadata.Description}}', 'again']), 'a copy\n');
    assert.equal(await ok(['context', 'rm', 'far', 'again']), 'far\nagain\n');
  });

  test('an archive that would write elsewhere is refused', async () => {
    writeFileSync(`${engine.root}/meta.json`, '{"Name":"x","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///x"}}}');
    execFileSync('tar', [
      '-C',
      engine.root,
      '-cf',
      `${engine.root}/bad.tar`,
      'meta.json',
      '--transform',
      's,cert.pem,../../up.pem,',
      '-P',
      'cert.pem',
    ]);
    const { code, stderr } = await ours(['context', 'import', 'bad', 'bad.tar']);
    assert.equal(code, 1);
    assert.match(stderr, /unexpected context file "\.\.\/\.\.\/up\.pem"/);
    assert.match((await ours(['context', 'inspect', 'bad'])).stderr, /context not found/);
  });

  test('both clients see the same contexts, and say the same of them', { skip: noDocker }, async () => {
    await ok(['context', 'create', 'mine', '--docker', `host=${engine.host}`]);
    assert.equal((await theirs(['context', 'create', 'yours', '--docker', `host=${engine.host}`])).code, 0);
    assert.match((await theirs(['-c', 'mine', 'images'])).stdout, /^busybox/m);
    assert.match(await ok(['-c', 'yours', 'images']), /^busybox/m);
    assert.equal((await theirs(['context', 'use', 'yours'])).code, 0);
    assert.match(await ok(['images']), /^busybox/m);
    const like = ({ code, stdout, stderr }: Outcome) => ({
      code,
      stdout,
      stderr: stderr.replaceAll('docker', 'gantry'),
    });
    for (const call of [
      ['context', 'ls'],
      ['context', 'ls', '-q'],
      ['context', 'ls', '--format', 'json'],
      ['context', 'ls', '--format', '{{.Name}} {{.Current}} {{.DockerEndpoint}}'],
      ['context', 'inspect'],
      ['context', 'inspect', 'mine', 'default', 'nosuch'],
      ['context', 'inspect', '-f', '{{.Endpoints.docker.Host}}', 'mine'],
      ['context', 'show'],
      ['context', 'use', 'nosuch'],
      ['context', 'rm', 'nosuch'],
      ['context', 'rm', 'default'],
      ['context', 'create', 'default'],
      ['context', 'create', 'a b'],
      ['context', 'create', 'mine'],
      ['context', 'update', 'nosuch', '--description', 'x'],
      ['context', 'import', 'x', '/nosuch'],
      ['context', 'export', 'nosuch'],
    ]) {
      // The default engine is another's for each client, unless the environment says so.
      const host = call[1] === 'ls' || call.includes('default') ? { DOCKER_HOST: engine.host } : {};
      assert.deepEqual(like(await ours(call, host)), like(await theirs(call, host)), call.join(' '));
    }
    await ok(['context', 'export', 'mine', 'ours.tar']);
    assert.equal((await theirs(['context', 'import', 'taken', 'ours.tar'])).code, 0);
    assert.equal((await theirs(['context', 'export', 'yours', 'theirs.tar'])).code, 0);
    await ok(['context', 'import', 'got', 'theirs.tar']);
    await ok(['context', 'rm', '-f', 'here', 'mine', 'yours', 'taken', 'got']);
    assert.equal((await theirs(['context', 'ls', '-q'])).stdout, 'default\n');
  });

  test('psFormat and the like are the formats of listings where none is given', async () => {
    configure({ imagesFormat: '{{.Repository}} is here', networksFormat: 'n:{{.Name}}' });
    const at = { GANTRY_HOST: engine.host };
    assert.equal(await ok(['images'], at), 'busybox is here\n');
    assert.match(await ok(['images', '-q'], at), /^[0-9a-f]{12}\n$/);
    assert.match(await ok(['images', '--format', 'table'], at), /^REPOSITORY/);
    assert.match(await ok(['network', 'ls'], at), /^n:bridge$/m);
  });

  test('a container is told of the proxies of the configuration, unless -e says otherwise', async () => {
    configure({ proxies: { default: { httpProxy: 'http://p:1', noProxy: 'x' }, 'unix:///y': { httpProxy: 'no' } } });
    const at = { GANTRY_HOST: engine.host };
    const shown = await ok(
      ['run', '--rm', '-e', 'no_proxy=mine', 'busybox', 'sh', '-c', 'env | grep -i proxy | sort'],
      at,
    );
    assert.equal(shown, 'HTTP_PROXY=http://p:1\nNO_PROXY=x\nhttp_proxy=http://p:1\nno_proxy=mine\n');
  });

  test('HttpHeaders go with every request', async () => {
    configure({ HttpHeaders: { 'X-Meta': 'from the file' } });
    const seen: (string | string[] | undefined)[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers['x-meta']);
      response.end('[]');
    });
    const socket = `${engine.root}/headers.sock`;
    await new Promise<void>((listening) => server.listen(socket, listening));
    await ok(['-H', `unix://${socket}`, 'ps']);
    server.close();
    assert.deepEqual(seen, ['from the file']);
  });

  test('pruneFilters keep what they name from every prune', async () => {
    configure({ pruneFilters: ['label!=keep'] });
    const at = { GANTRY_HOST: engine.host };
    for (const args of [
      ['-l', 'keep', '--name', 'kept'],
      ['--name', 'pruned'],
    ])
      await ok(['create', ...args, 'busybox', 'true'], at);
    await ok(['container', 'prune', '-f'], at);
    assert.equal(await ok(['ps', '-a', '--format', '{{.Names}}'], at), 'kept\n');
  });

  test('a broken configuration is told of and keeps nothing from its work', async () => {
    writeFileSync(`${folder}/config.json`, '{');
    const { code, stdout, stderr } = await ours(['images', '-q'], { GANTRY_HOST: engine.host });
    assert.equal(code, 0);
    assert.match(stdout, /^[0-9a-f]{12}\n$/);
    assert.match(stderr, /^WARNING: .*config\.json cannot be read/);
  });
});
