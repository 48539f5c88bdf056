import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finish, outputUntil, Workbench } from './workbench.ts';

const collect = async (output: AsyncIterable<{ data: Buffer }>): Promise<string> => {
  let text = '';
  for await (const { data } of output) text += data.toString();
  return text;
};

test('stdout and stderr stay apart, and whole', async () => {
  await using bench = new Workbench();
  const outcome = await bench.run(['sh', '-c', 'echo out; echo err >&2; seq 1 20000; exit 3']);
  assert.equal(outcome.code, 3);
  assert.equal(outcome.stderr, 'err\n');
  assert.equal(outcome.stdout.length, 'out\n'.length + 108894);
});

test('stdin arrives whole, and its half-close ends it', async () => {
  await using bench = new Workbench();
  const input = 'x'.repeat(3_000_000);
  const { stdout } = await bench.run(['sh', '-c', 'wc -c; echo done'], { input });
  assert.equal(stdout, '3000000\ndone\n');
});

test('without stdin it is empty', async () => {
  await using bench = new Workbench();
  assert.equal(await bench.shell('cat; readlink /proc/self/fd/0'), '/dev/null\n');
});

test('stdin stays open past its clients unless it is to close once', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['cat'], { stdio: { stdin: true } });
  await task.start();
  const first = await task.attach();
  first.stdin.end('one\n');
  await outputUntil(first.output[Symbol.asyncIterator](), 'one\n');
  await first[Symbol.asyncDispose]();
  const second = await task.attach();
  second.stdin.write('two\n');
  await outputUntil(second.output[Symbol.asyncIterator](), 'two\n');
  await second[Symbol.asyncDispose]();
  await task.kill(9);
});

test('several clients see the same output', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['sh', '-c', 'seq 1 5000; read line; echo "got $line"'], { stdio: { stdin: true } });
  const clients = [await task.attach(), await task.attach(), await task.attach()];
  const seen = clients.map(({ output }) => collect(output));
  await task.start();
  clients[1]?.stdin.write('hello\n');
  const texts = await Promise.all(seen);
  assert.ok(texts[0]?.endsWith('5000\ngot hello\n'));
  assert.equal(new Set(texts).size, 1);
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
});

test('a client that takes nothing holds the process up for a bounded time only', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['sh', '-c', 'head -c 20000000 /dev/zero'], { stdio: { stallMilliseconds: 200 } });
  const stalled = await task.attach();
  await task.start();
  assert.equal((await task.wait()).code, 0);
  await stalled[Symbol.asyncDispose]();
});

test('a slow client gets all of a large output', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['sh', '-c', 'head -c 20000000 /dev/zero']);
  const io = await task.attach();
  await task.start();
  let bytes = 0;
  for await (const { data } of io.output) {
    bytes += data.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(bytes, 20_000_000);
  await io[Symbol.asyncDispose]();
});

test('a terminal has its size, resizes, and is the process’s own', async () => {
  await using bench = new Workbench();
  const task = await bench.create(
    ['sh', '-c', 'tty; ls -l /dev/console; trap "stty size; exit 5" WINCH; stty size; while :; do sleep 0.05; done'],
    {
      stdio: { terminal: true, stdin: true, size: { rows: 33, columns: 77 } },
    },
  );
  const io = await task.attach();
  const output = io.output[Symbol.asyncIterator]();
  await task.start();
  const before = await outputUntil(output, '33 77\r\n');
  assert.match(before, /^\/dev\/pts\/0\r\n/);
  assert.match(before, /\ncrw.* 136, +0 .*\/dev\/console/);
  await task.resize({ rows: 50, columns: 132 });
  await outputUntil(output, '50 132\r\n');
  assert.equal((await task.wait()).code, 5);
  await io[Symbol.asyncDispose]();
});

test('a terminal passes keys on: ^C interrupts', async () => {
  await using bench = new Workbench();
  const task = await bench.create(
    ['sh', '-c', 'trap "echo interrupted; exit 7" INT; echo ready; while :; do sleep 0.05; done'],
    {
      stdio: { terminal: true, stdin: true },
    },
  );
  const io = await task.attach();
  const output = io.output[Symbol.asyncIterator]();
  await task.start();
  await outputUntil(output, 'ready');
  io.stdin.write('\x03');
  await outputUntil(output, 'interrupted');
  assert.equal((await task.wait()).code, 7);
  await io[Symbol.asyncDispose]();
});

test('an attachment after the end is empty, and ends', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['true']);
  await task.start();
  await task.wait();
  const io = await task.attach();
  assert.equal(await collect(io.output), '');
  io.stdin.end('unheard');
  await io[Symbol.asyncDispose]();
});

test('a process that is not root may open its own stdout again', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['sh', '-c', 'echo again > /dev/stdout; id -u'], {
    process: { user: { uid: 1000, gid: 1000 }, capabilities: {} },
  });
  assert.equal((await finish(task)).stdout, 'again\n1000\n');
});
