import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { until } from '../harness/program.ts';
import { type Ask, type HubUnderTest, hubUnderTest, refusal } from './hub-under-test.ts';
import { blobOf, pushImage, putBlob } from './small-image.ts';

let hub: HubUnderTest;
let ana: Ask;
before(async () => {
  hub = await hubUnderTest();
  ana = hub.basic('ana');
});
after(() => hub[Symbol.asyncDispose]());

const login = `authorization: Basic ${Buffer.from('ana:correct horse battery').toString('base64')}\r\n`;
/** Sends bytes as they are, and gives what comes back until the connection ends. */
function raw(text: string): { socket: Socket; answer: Promise<string> } {
  const socket = connect(Number(new URL(hub.url).port), '127.0.0.1');
  const answer = new Promise<string>((done) => {
    let got = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      got += chunk;
    });
    socket.on('error', () => undefined).on('close', () => done(got));
  });
  socket.write(text);
  return { socket, answer };
}

test('no name, digest, upload id or source of a mount leads out of where it belongs', async () => {
  const { layer } = await pushImage(ana, 'ana/tricks', 'v1');
  const paths = [
    '/v2/ana/../ben/x/manifests/v1',
    '/v2/ana%2f..%2f..%2fetc/manifests/passwd',
    '/v2/ana/x/blobs/sha256:..%2f..%2f..%2fhub.db',
    `/v2/ana/tricks/blobs/${layer.digest}%00`,
    `/v2/ana/tricks/blobs/${layer.digest.toUpperCase()}`,
    '/v2/ana/tricks/blobs/sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709',
    '/v2/ana/tricks/blobs/uploads/..%2f..%2fhub.db',
    '/v2/ana/tricks/manifests/..%2f..%2f..%2fhub.db',
    '/v2//manifests/v1',
    '/v2/ana//tricks/manifests/v1',
    `/v2/ana/${'x'.repeat(300)}/manifests/v1`,
    `/v2/ana/tricks/manifests/${'t'.repeat(129)}`,
    '/v2/ana/tricks/referrers/sha256:..',
    '/v2/ana/%c3%28/manifests/v1',
  ];
  for (const path of paths) {
    const text = await raw(`GET ${path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n${login}\r\n`).answer;
    assert.match(text, /^HTTP\/1\.1 (400|404) /, `${path}: ${text.slice(0, 100)}`);
    assert.doesNotMatch(text, /SQLite|root:/);
  }
  for (const from of ['../ana/tricks', 'ana/tricks/../tricks', 'ana/tricks%00', '', 'x'.repeat(5000)]) {
    const response = await ana('POST', `/v2/ana/other/blobs/uploads/?mount=${layer.digest}&from=${from}`);
    assert.notEqual(response.status, 201, from.slice(0, 40));
  }
  for (const digest of ['sha256:../../hub.db', 'sha512:abc', '', 'sha256:'.padEnd(71, 'g')])
    assert.match(await refusal(await ana('POST', `/v2/ana/x/blobs/uploads/?digest=${digest}`, { body: 'x' })), /^400 /);
  assert.equal(existsSync(`${hub.root}/../hub.db`), false);
});

test('ranges that lie, overflow or are not numbers are refused or answered whole, never wrongly', async () => {
  const blob = blobOf('0123456789');
  await putBlob(ana, 'ana/ranges', blob);
  const read = async (range: string) => {
    const response = await ana('GET', `/v2/ana/ranges/blobs/${blob.digest}`, { headers: { range } });
    return `${response.status} ${await response.text()}`;
  };
  for (const whole of ['bytes=-', 'bytes=a-b', 'lines=1-2', 'bytes=5-2', `bytes=${'9'.repeat(400)}-`, 'bytes=0-0,0-0'])
    assert.equal(await read(whole), '200 0123456789', whole);
  assert.match(await read('bytes=99999999999999-'), /^416 /);
  const begun = await ana('POST', '/v2/ana/ranges/blobs/uploads/');
  const location = begun.headers.get('location') ?? '';
  for (const range of ['-1-5', '0', '5-1', `0-${'9'.repeat(30)}`, 'bytes 0-4/x', '0-4;1-2']) {
    const { status } = await ana('PATCH', location, { body: 'hello', headers: { 'content-range': range } });
    assert.ok(status === 400 || status === 416, `${range}: ${status}`);
  }
  assert.equal((await ana('GET', location)).headers.get('range'), '0-0');
});

test('requests that two servers could read in two ways are refused', async () => {
  const head = `POST /v2/ana/smuggle/blobs/uploads/ HTTP/1.1\r\nhost: hub\r\n${login}`;
  const smuggled = 'GET /v2/ HTTP/1.1\r\nhost: hub\r\n\r\n';
  for (const headers of [
    `content-length: 5\r\ncontent-length: 6\r\n\r\nhello`,
    `content-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `transfer-encoding: xchunked\r\n\r\n${smuggled}`,
    `content-length: +5\r\n\r\nhello`,
    `x-header: a\nb: c\r\n\r\n`,
    `content-length : 5\r\n\r\nhello`,
  ]) {
    const text = await raw(head + headers).answer;
    assert.match(text, /^HTTP\/1\.1 400 /, JSON.stringify(headers));
    assert.equal(text.split('HTTP/1.1 ').length, 2, 'one answer, and the connection is closed');
  }
});

test('everything oversized is refused before it is held: heads, targets, bodies, manifests', async () => {
  const long = 'x'.repeat(100_000);
  for (const request of [
    `GET /${long} HTTP/1.1\r\nhost: hub\r\n\r\n`,
    `GET /v2/ HTTP/1.1\r\nhost: hub\r\nx-long: ${long}\r\n\r\n`,
    `GET /v2/ HTTP/1.1\r\nhost: hub\r\n${'x: y\r\n'.repeat(20_000)}\r\n`,
  ])
    assert.match(await raw(request).answer, /^HTTP\/1\.1 4(14|31|00) /);
  const visitor = hub.visitor();
  assert.equal((await visitor('POST', 'session', { name: long, password: 'x' })).status, 413);
  const scope = `/token?${'scope=repository:ana/x:pull&'.repeat(5000)}`;
  assert.ok((await hub.basic()('GET', scope)).status >= 400);
});

test('an account has five hundred uploads open and no more; they are swept when they are old', async () => {
  const ben = hub.basic('ben');
  const open = async () => (await ben('POST', '/v2/ben/many/blobs/uploads/')).status;
  const statuses = await Promise.all(Array.from({ length: 520 }, open));
  assert.equal(statuses.filter((status) => status === 202).length, 500);
  assert.equal(statuses.filter((status) => status === 429).length, 20);
  assert.equal((await ana('POST', '/v2/ana/mine/blobs/uploads/')).status, 202, 'others are not held up');
  const db = new DatabaseSync(`${hub.root}/hub.db`, { timeout: 5000 });
  db.exec('UPDATE uploads SET started = 0');
  db.close();
  await hub.admin('gc');
  assert.equal(await open(), 202);
  const left = readdirSync(`${hub.root}/content/staging`).filter((name) => name.startsWith('upload-'));
  assert.equal(left.length, 1);
});

test('hundreds of clients that stop reading or writing hold up nobody, and memory stays bounded', async () => {
  const big = blobOf(Buffer.alloc(8 << 20, 'b'));
  assert.equal((await putBlob(ana, 'ana/big', big)).status, 201);
  const memory = () => {
    const pid = hub.pid;
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1000;
  };
  const sockets: Socket[] = [];
  try {
    for (let i = 0; i < 150; i++) {
      const reader = raw(`GET /v2/ana/big/blobs/${big.digest} HTTP/1.1\r\nhost: hub\r\n${login}\r\n`).socket;
      reader.once('readable', () => undefined).pause();
      const writer = raw(
        `POST /v2/ana/slow/blobs/uploads/?digest=${big.digest} HTTP/1.1\r\nhost: hub\r\n${login}content-length: 8388608\r\n\r\nbbbb`,
      ).socket;
      const half = raw('GET /v2/ HTTP/1.1\r\nhost: h').socket;
      sockets.push(reader, writer, half);
    }
    await until(() => readdirSync(`${hub.root}/content/staging`).length >= 140 || undefined);
    assert.equal((await ana('GET', '/v2/')).status, 200);
    const image = await pushImage(ana, 'ana/meanwhile', 'v1');
    assert.equal((await ana('GET', `/v2/ana/meanwhile/blobs/${image.layer.digest}`)).status, 200);
    assert.ok(memory() < 320, `${memory()} MB`);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});
