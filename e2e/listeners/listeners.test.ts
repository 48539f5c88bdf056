import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { type Certificates, makeCertificates } from '../harness/certificates.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { gantryProgram, run } from '../harness/program.ts';

const noDocker = spawnSync('docker', ['--version']).status !== 0 && 'no docker client on this machine';

/** What an engine says it listens on. */
const tcpHost = (engine: Engine): string => /tcp:\/\/[\d.:]+/.exec(engine.output())?.[0] ?? '';

describe('TCP with mutual TLS', () => {
  let engine: Engine;
  let ours: Certificates;
  let others: Certificates;
  let folder: string;
  before(async () => {
    ours = makeCertificates(['localhost']);
    others = makeCertificates(['localhost']);
    folder = mkdtempSync(`${tmpdir()}/gantry-listeners-`);
    engine = await startEngine([
      ...['--host', 'tcp://127.0.0.1:0', '--tlsverify', '--tlscacert', ours.ca, '--group', '50'],
      ...['--tlscert', ours.server.cert, '--tlskey', ours.server.key],
    ]);
  });
  after(async () => {
    await engine[Symbol.asyncDispose]();
    ours[Symbol.dispose]();
    others[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The environment of a client with these files. */
  const environment = (name: string, ca: string, client: { cert: string; key: string } | undefined) => {
    const path = `${folder}/${name}`;
    mkdirSync(path, { recursive: true });
    copyFileSync(ca, `${path}/ca.pem`);
    if (client !== undefined) {
      copyFileSync(client.cert, `${path}/cert.pem`);
      copyFileSync(client.key, `${path}/key.pem`);
    }
    const host = tcpHost(engine);
    return { GANTRY_HOST: host, DOCKER_HOST: host, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: path };
  };
  const programs = [['gantry', gantryProgram, false] as const, ['docker', 'docker', noDocker] as const];

  for (const [name, program, skip] of programs)
    test(`${name} runs a container with stdin`, { skip }, async () => {
      const env = { ...engine.env, ...environment('good', ours.ca, ours.client) };
      const { code, stdout, stderr } = await run(program, ['run', '-i', '--rm', 'busybox', 'cat'], {
        env,
        input: 'through TLS\n',
      });
      assert.equal(code, 0, stderr);
      assert.equal(stdout, 'through TLS\n');
    });

  for (const [name, program, skip] of programs)
    test(`${name} is refused without a certificate, with another authority’s, and refuses another engine`, {
      skip,
    }, async () => {
      for (const [kind, ca, client, said] of [
        ['none', ours.ca, undefined, /certificate|EPROTO|ECONNRESET|connection reset|without an answer|EOF/i],
        [
          'foreign',
          ours.ca,
          others.client,
          /certificate|unknown ca|EPROTO|ECONNRESET|connection reset|without an answer|EOF/i,
        ],
        ['server', others.ca, ours.client, /certificate/i],
      ] as const) {
        const env = { ...engine.env, ...environment(kind, ca, client) };
        const { code, stderr } = await run(program, ['ps'], { env });
        assert.notEqual(code, 0, kind);
        assert.match(stderr, said, kind);
      }
    });

  test('plain HTTP is not answered', async () => {
    const { port } = new URL(tcpHost(engine));
    const outcome = await new Promise<string>((resolve) => {
      request({ host: '127.0.0.1', port, path: '/_ping' }, (response) => resolve(`${response.statusCode}`))
        .once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
        .end();
    });
    assert.doesNotMatch(outcome, /^\d/);
  });

  test('the unix socket beside it is for root and the group', () => {
    const { mode, uid, gid } = statSync(`${engine.root}/gantry.sock`);
    assert.deepEqual([mode & 0o777, uid, gid], [0o660, 0, 50]);
  });
});

describe('plain TCP', () => {
  test('is refused unless it is asked for by its own flag', async () => {
    const args = [
      'daemon',
      '--host',
      'tcp://127.0.0.1:0',
      '--data-root',
      '/nonexistent/gantry',
      '--exec-root',
      '/nonexistent/x',
    ];
    const { code, stderr } = await run(gantryProgram, args, {});
    assert.equal(code, 1);
    assert.match(stderr, /--tlsverify.*--allow-plain-tcp/s);
  });

  test('and then warns, in the log and in info', async () => {
    await using engine = await startEngine(['--host', 'tcp://127.0.0.1:0', '--allow-plain-tcp']);
    assert.match(engine.output(), /warn API is accessible on http:.*root access/);
    const env = { ...engine.env, GANTRY_HOST: tcpHost(engine), DOCKER_HOST: tcpHost(engine) };
    const { stdout } = await run(gantryProgram, ['version', '--format', '{{.Server.Version}}'], { env });
    assert.match(stdout, /\d/);
    const info = await engine.api('GET', '/info');
    assert.match(JSON.stringify(info.body), /WARNING: API is accessible on http/);
  });
});

test('files and groups that are not there are refused by name', async () => {
  const nowhere = ['--data-root', '/nonexistent/gantry', '--exec-root', '/nonexistent/x'];
  const { stderr } = await run(gantryProgram, ['daemon', '--tlsverify', '--tlscacert', '/nosuch', ...nowhere], {});
  assert.match(stderr, /--tlsverify needs all of/);
});
