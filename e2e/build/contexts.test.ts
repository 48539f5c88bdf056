import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';
import { contextFolder } from './context-folder.ts';

let engine: Engine;
before(async () => {
  engine = await startEngine();
});
after(() => engine[Symbol.asyncDispose]());

async function ok(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.gantry(args);
  assert.equal(code, 0, `gantry ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}
const sent = (output: string) => /Sending build context to Gantry daemon +(\S+)/.exec(output)?.[1];
const build = async (context: string, ...args: readonly string[]) => ok('build', '--progress=plain', ...args, context);
const inImage = (image: string, command: string) => ok('run', '--rm', image, 'sh', '-c', command);

/** A hundred files of a kilobyte in ten directories. */
function largeContext(): string {
  const context = contextFolder(engine, {
    Dockerfile: 'FROM busybox\nCOPY . /src\n',
    '.dockerignore': 'secret\n!d1/secret\n',
  });
  for (let i = 0; i < 100; i++) {
    mkdirSync(`${context}/d${i % 10}`, { recursive: true });
    writeFileSync(`${context}/d${i % 10}/f${i}`, `${i}`.repeat(1000).slice(0, 1000));
  }
  writeFileSync(`${context}/secret`, 'not sent');
  return context;
}

test('of a directory that was sent before, only what changed is sent', async () => {
  const context = largeContext();
  const first = await build(context, '-t', 'first');
  // What was written a moment ago may change within the same tick of the clock, and is sent again until it is older.
  await until(async () => sent(await build(context, '-t', 'same')) === '0B' || undefined);
  assert.equal(await ok('inspect', '-f', '{{.Id}}', 'same'), await ok('inspect', '-f', '{{.Id}}', 'first'));
  assert.notEqual(sent(first), '0B');

  writeFileSync(`${context}/d1/f1`, 'changed');
  rmSync(`${context}/d2`, { recursive: true });
  writeFileSync(`${context}/d2`, 'a file now');
  rmSync(`${context}/d3/f3`);
  symlinkSync('/etc/passwd', `${context}/d3/f3`);
  rmSync(`${context}/d4/f4`);
  mkdirSync(`${context}/d4/f4`);
  chmodSync(`${context}/d5/f5`, 0o755);
  writeFileSync(`${context}/d1/secret`, 'sent');
  const output = await build(context, '-t', 'second');
  assert.equal(sent(output), '1.021kB', 'changed, a file now, sent, and the file of another mode');
  const facts = `cd /src; cat d1/f1 d2 d1/secret; readlink d3/f3; stat -c '%F %a' d4/f4 d5/f5; ls d3 | wc -l; ls`;
  assert.deepEqual((await inImage('second', facts)).trim().split('\n').slice(0, 3), [
    'changeda file nowsent/etc/passwd',
    'directory 755',
    'regular file 755',
  ]);
  assert.doesNotMatch(await inImage('second', 'ls /src'), /^secret$/m);
  // The earlier image has what it had, although its files and the kept ones were the same.
  assert.equal(await inImage('first', 'cat /src/d1/f1; stat -c %a /src/d5/f5'), `${'1'.repeat(1000)}644\n`);

  // Times of a layer that are clamped are the layer's own.
  await build(context, '--build-arg', 'SOURCE_DATE_EPOCH=1000', '--no-cache', '-t', 'clamped');
  await build(context, '--no-cache', '-t', 'after');
  assert.notEqual(await inImage('after', 'stat -c %Y /src/d6/f6'), '1000\n');

  assert.match(await ok('builder', 'du'), /as a client sent it last|source\.local/);
  await ok('builder', 'prune', '-f');
  assert.deepEqual(readdirSync(`${engine.root}/data/builder/contexts`), []);
  assert.deepEqual(readdirSync(`${engine.root}/data/builder/builds`), []);
  assert.notEqual(sent(await build(context)), '0B');
});

/** One call of the API with a raw body. */
function call(path: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((done, fail) => {
    const socketPath = engine.host.slice('unix://'.length);
    const outgoing = request(
      { socketPath, method: 'POST', path, headers: { 'content-type': 'application/x-tar' } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        answer.on('end', () => done({ status: answer.statusCode ?? 0, text }));
      },
    );
    outgoing.once('error', fail);
    outgoing.end(body);
  });
}

const session = () => `/gantry/build/${'s'.repeat(20)}${Math.random().toString(36).slice(2)}`;
const key = 'ab'.repeat(32);
const lines = (...entries: readonly (readonly unknown[])[]) => entries.map((entry) => JSON.stringify(entry)).join('\n');
const file = (path: string, size = 1, stamp = 's') => [path, 'f', 0o644, 1, size, stamp, ''];

test('a hostile list reads nothing, writes nothing outside, and gets at nobody else’s files', async () => {
  writeFileSync(`${engine.root}/outside`, 'host');
  for (const bad of [
    lines(file('../outside')),
    lines(file('/etc/passwd')),
    lines(file('a/../../outside')),
    lines(file('a//b')),
    lines(file('nowhere/b')),
    lines(file('a'), file('a')),
    lines(['l', 'l', 0o777, 1, 0, '', engine.root], file('l/outside')),
    lines(['d', 'd', 0o10000, 1, 0, '', '']),
    lines(['f', 'f', 0o644, 1, -1, 's', '']),
    lines(['x', 'c', 0o644, 1, 0, 's', '']),
    '[',
    '{}',
  ]) {
    const { status, text } = await call(`${session()}/list?key=${key}`, bad);
    assert.equal(status, 400, `${bad}: ${text}`);
    assert.match(text, /the list of the build context is not valid/);
  }
  const Dockerfile = 'FROM busybox\nCOPY . /src\n';
  const list = lines(file('Dockerfile', Dockerfile.length), ['link', 'l', 0o777, 1, 0, '', `${engine.root}/outside`]);
  const offered = async (withKey: string, what = list) => {
    const id = session();
    const { text } = await call(`${id}/list?key=${withKey}`, what);
    return { id: id.slice('/gantry/build/'.length), need: (JSON.parse(text) as { need: number[] }).need };
  };
  const built = async (id: string, body: string) =>
    (await call(`/build?context=listed&gantrysession=${id}&t=listed`, body)).text;
  for (const [body, message] of [
    [Dockerfile.slice(1), /ended in Dockerfile, 1 bytes before/],
    [`${Dockerfile}x`, /more of the build context was sent/],
  ] as const)
    assert.match(await built((await offered(key)).id, body), message);
  assert.match(await built((await offered(key)).id, Dockerfile), /Successfully built/);
  assert.equal(
    await inImage('listed', 'readlink /src/link; cat /src/link 2>&1 || true'),
    `${engine.root}/outside\ncat: can't open '/src/link': No such file or directory\n`,
  );
  // Under the same key nothing is wanted again; under another, or with another stamp, all of it is.
  assert.deepEqual((await offered(key)).need, []);
  assert.deepEqual((await offered('cd'.repeat(32))).need, [0]);
  // A second build at the same time begins with nothing.
  const [one, two] = [await offered(key), await offered(key)];
  assert.deepEqual([one.need, two.need], [[0], [0]]);
  // A link that was sent before is none that a later list is led by.
  const through = await offered(
    key,
    lines(file('Dockerfile', Dockerfile.length), ['link', 'd', 0o755, 1, 0, '', ''], file('link/x', 4)),
  );
  assert.match(await built(through.id, `${through.need.includes(0) ? Dockerfile : ''}evil`), /Successfully built/);
  assert.equal(readFileSync(`${engine.root}/outside`, 'utf8'), 'host');
  assert.ok(!existsSync(`${engine.root}/x`));
  assert.match(
    (await call(`/build?context=listed&gantrysession=${'n'.repeat(20)}`, '')).text,
    /no list of a context came before/,
  );
});
