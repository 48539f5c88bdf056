import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { startService, stopProcess, until } from '../harness/program.ts';
import { hubUnderTest } from './hub-under-test.ts';
import { blobOf, pushImage } from './small-image.ts';

test('health and readiness answer anyone; metrics answer administrators, and name nobody', async () => {
  await using hub = await hubUnderTest();
  for (const path of ['/healthz', '/readyz']) {
    const response = await fetch(`${hub.url}${path}`);
    assert.equal(`${response.status} ${await response.text()}`, '200 ok\n');
  }
  await pushImage(hub.basic('ana'), 'ana/secret-name', 'v1');
  assert.equal((await hub.basic()('GET', '/metrics')).status, 401);
  assert.equal((await hub.basic('ana')('GET', '/metrics')).status, 401);
  await hub.admin('user', 'admin', 'ana', 'on');
  const text = await (await hub.basic('ana')('GET', '/metrics')).text();
  assert.match(text, /^gantry_hub_requests_total\{method="PUT",kind="manifest",status="201"\} 1$/m);
  assert.match(text, /^gantry_hub_request_seconds_bucket\{kind="uploads",le="\+Inf"\} 2$/m);
  assert.match(text, /^process_resident_memory_bytes \d+$/m);
  assert.doesNotMatch(text, /secret-name|ana/);
});

test('a webhook is told of a push, signed, and what it answered is listed; the push does not wait', async () => {
  await using hub = await hubUnderTest();
  const told = Promise.withResolvers<{ body: string; signature: string }>();
  let answers = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      answers++;
      response.statusCode = answers === 1 ? 503 : 204;
      response.end();
      if (answers === 2) told.resolve({ body, signature: String(request.headers['x-gantry-signature']) });
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    const { port } = server.address() as AddressInfo;
    const secret = await hub.admin('hook', 'add', 'ana', `http://127.0.0.1:${port}/told`);
    const { manifest } = await pushImage(hub.basic('ana'), 'ana/x', 'v1');
    const { body, signature } = await told.promise;
    assert.equal(signature, `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`);
    const { time, ...event } = JSON.parse(body) as Record<string, string>;
    assert.deepEqual(event, {
      event: 'push',
      repository: 'ana/x',
      reference: 'v1',
      digest: manifest.digest,
      actor: 'ana',
    });
    assert.ok(Date.parse(time ?? '') <= Date.now());
    await until(async () => /^1 +ana .* 204$/m.test(await hub.admin('hook', 'list')) || undefined);
    await hub.admin('hook', 'remove', '1');
  } finally {
    server.close();
  }
});

test('SIGTERM lets an upload that is underway end, and boards do not hold it up', async () => {
  await using hub = await hubUnderTest();
  const page = await hub.page('ana');
  await page('POST', 'organisations', { name: 'class-1' });
  const events = await page('GET', 'board/events?org=class-1');
  const { port } = new URL(hub.url);
  const blob = blobOf('begun before the end');
  const begun = await hub.basic('ana')('POST', '/v2/ana/drained/blobs/uploads/');
  const location = begun.headers.get('location') ?? '';
  const socket = connect(Number(port), '127.0.0.1');
  const answer = new Promise<string>((done) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('close', () => done(text));
  });
  const login = Buffer.from('ana:correct horse battery').toString('base64');
  socket.write(
    `PUT ${location}?digest=${blob.digest} HTTP/1.1\r\nhost: hub\r\nauthorization: Basic ${login}\r\ncontent-length: ${blob.bytes.length}\r\n\r\n${blob.bytes.subarray(0, 5)}`,
  );
  await hub.basic()('GET', '/healthz');
  const ended = hub.restart('SIGTERM');
  await until(async () => {
    const refused = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined);
    return refused === undefined || refused.status === 503 || undefined;
  });
  socket.write(blob.bytes.subarray(5));
  assert.match(await answer, /^HTTP\/1\.1 201 /);
  await ended;
  await events.body?.cancel().catch(() => undefined);
  assert.equal((await hub.basic('ana')('HEAD', `/v2/ana/drained/blobs/${blob.digest}`)).status, 200);
});

test('a new certificate is served after SIGHUP, without a restart; a broken one changes nothing', async () => {
  await using hub = await hubUnderTest();
  const make = (name: string) => {
    const made = spawnSync('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
      ...['-keyout', `${hub.root}/${name}.key`, '-out', `${hub.root}/${name}.pem`, '-subj', `/CN=${name}`],
    ]);
    assert.equal(made.status, 0, String(made.stderr));
  };
  make('first');
  make('second');
  const put = (name: string) => {
    copyFileSync(`${hub.root}/${name}.key`, `${hub.root}/tls.key`);
    copyFileSync(`${hub.root}/${name}.pem`, `${hub.root}/tls.pem`);
  };
  put('first');
  const { child, line, output } = await startService([
    ...['hub', 'serve', '--listen', '127.0.0.1:0', '--data-root', `${hub.root}/secure`, '--log-format', 'json'],
    ...['--tls-cert', `${hub.root}/tls.pem`, '--tls-key', `${hub.root}/tls.key`],
  ]);
  try {
    const port = Number(/:(\d+)$/.exec(line)?.[1]);
    const served = () =>
      new Promise<string>((done, fail) => {
        const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
          done(String(socket.getPeerCertificate().subject.CN));
          socket.destroy();
        });
        socket.once('error', fail);
      });
    assert.equal(await served(), 'first');
    put('second');
    child.kill('SIGHUP');
    await until(async () => (await served()) === 'second' || undefined);
    copyFileSync(`${hub.root}/first.key`, `${hub.root}/tls.key`);
    child.kill('SIGHUP');
    await until(() => /"level":"error","message":"the certificate stays as it was/.test(output()) || undefined);
    assert.equal(await served(), 'second');
  } finally {
    await stopProcess(child);
  }
});
