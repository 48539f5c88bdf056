import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { commandsOf } from '../harness/commands.ts';
import { type DatagramListener, listenForDatagrams } from '../harness/datagram-listener.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';

/** A receiver of lines on TCP that can go away and come back at the same place. */
async function listenForLines(port = 0): Promise<{ port: number; lines: string[]; close(): Promise<void> }> {
  const lines: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    let rest = '';
    socket.on('error', () => undefined); // the engine may be killed
    socket.on('data', (data) => {
      const parts = (rest + data.toString('utf8')).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    lines,
    async close() {
      const closed = new Promise((done) => server.close(done));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

describe('log drivers', () => {
  let engine: Engine;
  let journal: DatagramListener;
  const journalPath = `/tmp/gantry-journal-${process.pid}.sock`;
  before(async () => {
    journal = listenForDatagrams(journalPath);
    engine = await startEngine(['--journald-socket', journalPath, '--log-opt', 'max-file=2']);
  });
  after(async () => {
    await engine[Symbol.asyncDispose]();
    journal[Symbol.dispose]();
  });
  const { ok, refused } = commandsOf((args) => engine.gantry(args));
  const logConfig = async (name: string) =>
    JSON.parse(await ok('inspect', '-f', '{{json .HostConfig.LogConfig}}', name));

  test('json-file is the default, with the daemon’s options under the container’s; labels, env and tag go with each line', async () => {
    await ok('run', '--name', 'plain', 'busybox', 'echo', 'hi');
    assert.deepEqual(await logConfig('plain'), { Type: 'json-file', Config: { 'max-file': '2' } });
    await ok(
      ...[
        'run',
        '--name',
        'rich',
        '--label',
        'part=x',
        '--label',
        'other=y',
        '-e',
        'STAGE=test',
        '--log-opt',
        'labels=part',
      ],
      ...[
        '--log-opt',
        'env-regex=^STA',
        '--log-opt',
        'tag={{.ImageName}}/{{.Name}}/{{.ID}}',
        '--log-opt',
        'max-size=1m',
      ],
      ...['busybox', 'echo', 'hi'],
    );
    assert.deepEqual((await logConfig('rich')).Config['max-size'], '1m');
    const [line] = readFileSync(await ok('inspect', '-f', '{{.LogPath}}', 'rich'), 'utf8').split('\n');
    const { attrs, log } = JSON.parse(line ?? '');
    assert.equal(log, 'hi\n');
    assert.deepEqual(attrs, {
      tag: `busybox/rich/${(await ok('inspect', '-f', '{{.Id}}', 'rich')).slice(0, 12)}`,
      part: 'x',
      STAGE: 'test',
    });
    assert.equal(await ok('logs', 'rich'), 'hi');
    assert.match(await ok('logs', '--details', 'rich'), /^STAGE=test,part=x,tag=busybox%2Frich%2F[0-9a-f]{12} hi$/);
  });

  test('local is read, none is not; what is unknown is refused in Docker’s words', async () => {
    await ok('run', '--name', 'here', '--log-driver', 'local', 'busybox', 'echo', 'local');
    assert.equal(await ok('logs', 'here'), 'local');
    assert.equal(await ok('inspect', '-f', '{{.LogPath}}', 'here'), '');
    await ok('run', '--name', 'nowhere', '--log-driver', 'none', 'busybox', 'echo', 'none');
    assert.match(await refused('logs', 'nowhere'), /configured logging driver does not support reading/);
    const run = (...args: string[]) => refused('run', '--rm', ...args, 'busybox', 'true');
    assert.match(await run('--log-driver', 'paper'), /logger: no log driver named 'paper' is registered/);
    assert.match(await run('--log-driver', 'fluentd'), /log driver "fluentd": not supported/);
    assert.match(await run('--log-opt', 'colour=red'), /unknown log opt 'colour' for json-file log driver/);
    assert.match(await run('--log-opt', 'max-size=big'), /invalid log opt max-size="big"/);
    assert.match(await run('--log-opt', 'mode=lazy'), /logging mode "lazy" is not valid/);
    assert.match(await run('--log-opt', 'tag={{.Nope}}'), /log tag "\{\{\.Nope\}\}"/);
    assert.match(
      await run('--log-driver', 'syslog', '--log-opt', 'syslog-address=ftp://x'),
      /invalid syslog-address "ftp:\/\/x"/,
    );
    assert.match(
      await run('--log-driver', 'syslog', '--log-opt', 'syslog-facility=9x'),
      /invalid syslog facility: "9x"/,
    );
    assert.match(
      await run('--log-driver', 'syslog', '--log-opt', 'syslog-address=unixgram:///no/such'),
      /failed to initialize logging driver: no syslog daemon listens at \/no\/such/,
    );
  });

  test('syslog by udp, in every format; logs reads the cache', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const heard: string[] = [];
    socket.on('message', (message) => heard.push(message.toString('utf8')));
    const address = `syslog-address=udp://127.0.0.1:${socket.address().port}`;
    const say = (format: string) =>
      ok(
        ...[
          'run',
          '--name',
          `udp-${format}`,
          '--log-driver',
          'syslog',
          '--log-opt',
          address,
          '--log-opt',
          `syslog-format=${format}`,
        ],
        ...[
          '--log-opt',
          'tag=app',
          '--log-opt',
          'syslog-facility=local0',
          'busybox',
          'sh',
          '-c',
          'echo out; echo err >&2',
        ],
      );
    await say('rfc3164');
    await until(() => (heard.length === 2 ? true : undefined));
    assert.match(heard.toSorted()[1] ?? '', /^<134>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ app\[\d+\]: out$/);
    assert.match(heard.toSorted()[0] ?? '', /^<131>.* app\[\d+\]: err$/);
    heard.length = 0;
    await say('rfc5424');
    await until(() => (heard.length === 2 ? true : undefined));
    assert.match(
      heard.find((line) => line.endsWith('out')) ?? '',
      /^<134>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ app \d+ app - out$/,
    );
    heard.length = 0;
    await say('rfc5424micro');
    await until(() => (heard.length === 2 ? true : undefined));
    assert.match(heard.find((line) => line.endsWith('out')) ?? '', /T\d\d:\d\d:\d\d\.\d{6}Z /);
    assert.match(await ok('logs', 'udp-rfc5424'), /^out$/m);
    socket.close();
  });

  test('syslog by tcp goes on from where it was, when the receiver was away and when the daemon was killed', async () => {
    const first = await listenForLines();
    const address = `syslog-address=tcp://127.0.0.1:${first.port}`;
    await ok(
      ...[
        'run',
        '-d',
        '--name',
        'steady',
        '--log-driver',
        'syslog',
        '--log-opt',
        address,
        '--log-opt',
        'tag=t',
        'busybox',
        'sh',
      ],
      ...['-c', 'i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i; sleep 0.01; done'],
    );
    await until(() => (first.lines.some((line) => line.endsWith(': line 20')) ? true : undefined));
    await first.close();
    await engine.kill('SIGKILL');
    await engine.restart();
    const second = await listenForLines(first.port);
    await until(() => (second.lines.some((line) => line.endsWith(': line 400')) ? true : undefined));
    const numbers = [...first.lines, ...second.lines]
      .map((line) => Number(/: line (\d+)$/.exec(line)?.[1]))
      .filter(Boolean);
    // A line that was under way when the receiver or the daemon went may come twice; none is missing, and the order is kept.
    assert.deepEqual(new Set(numbers), new Set(Array.from({ length: 400 }, (_, index) => index + 1)));
    assert.ok(numbers.length < 800, `${numbers.length} lines`);
    await second.close();
  });

  test('journald gets the fields; where there is no journal, the start says so', async () => {
    await ok(
      ...[
        'run',
        '--name',
        'journal',
        '--log-driver',
        'journald',
        '--log-opt',
        'tag=jot',
        '--label',
        'org.part=x',
        '--log-opt',
      ],
      ...['labels=org.part', 'busybox', 'sh', '-c', 'echo out; sleep 0.2; echo err >&2; sleep 0.2; printf part'],
    );
    const entries = [await journal.receive(), await journal.receive(), await journal.receive()].map(String);
    assert.match(entries[0] ?? '', /^MESSAGE=out\nPRIORITY=6\n/);
    assert.match(entries[0] ?? '', /^ORG_PART=x$/m);
    assert.match(entries[0] ?? '', /^CONTAINER_NAME=journal$/m);
    assert.match(entries[0] ?? '', /^CONTAINER_ID_FULL=[0-9a-f]{64}$/m);
    assert.match(entries[0] ?? '', /^SYSLOG_IDENTIFIER=jot$/m);
    assert.match(entries[1] ?? '', /^MESSAGE=err\nPRIORITY=3\n/);
    assert.match(entries[2] ?? '', /^CONTAINER_PARTIAL_MESSAGE=true$/m);
    assert.match(await ok('logs', 'journal'), /out/);
    await using bare = await startEngine(['--journald-socket', `${engine.root}/none`, '--log-driver', 'journald']);
    assert.match(
      (await bare.gantry(['run', '--rm', 'busybox', 'true'])).stderr,
      /failed to initialize logging driver: journald is not enabled on this host/,
    );
    assert.equal((await bare.gantry(['info', '-f', '{{.LoggingDriver}}'])).stdout.trim(), 'journald');
  });
});
