import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import Docker from 'dockerode';
import { type Engine, startEngine } from '../harness/engine.ts';

describe('dockerode', () => {
  let engine: Engine;
  let docker: Docker;
  before(async () => {
    engine = await startEngine();
    docker = new Docker({ socketPath: engine.host.slice('unix://'.length) });
  });
  after(() => engine[Symbol.asyncDispose]());

  /** The two streams of a multiplexed one, whole. */
  async function demultiplexed(stream: NodeJS.ReadableStream): Promise<[stdout: string, stderr: string]> {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    docker.modem.demuxStream(stream, stdout, stderr);
    stream.on('end', () => {
      stdout.end();
      stderr.end();
    });
    return Promise.all([text(stdout), text(stderr)]);
  }
  /** It waits for a container only after its start: one that removes itself may be gone by then, as with any engine. */
  async function runToTheEnd(
    image: string,
    command: string[],
  ): Promise<[{ StatusCode: number }, Docker.Container, string]> {
    const out = new PassThrough();
    const [outcome, container] = (await docker.run(image, command, out)) as [{ StatusCode: number }, Docker.Container];
    out.end();
    return [outcome, container, await text(out)];
  }
  const sleeper = async (more: Docker.ContainerCreateOptions = {}) => {
    const container = await docker.createContainer({ Image: 'busybox', Cmd: ['sleep', '1000'], ...more });
    await container.start();
    return container;
  };

  test('run: output, exit code, removal', async () => {
    const [outcome, container, output] = await runToTheEnd('busybox', ['sh', '-c', 'echo ran; exit 3']);
    assert.equal(outcome.StatusCode, 3);
    assert.match(output, /ran\r?\n/);
    await container.remove();
    await assert.rejects(container.inspect(), { statusCode: 404 });
  });

  test('attach with stdin, half-closed, by an upgrade; without one the reply is the stream', async () => {
    const options = {
      Image: 'busybox',
      OpenStdin: true,
      StdinOnce: true,
      AttachStdin: true,
      HostConfig: { AutoRemove: true },
    };
    const counter = await docker.createContainer({ ...options, Cmd: ['sh', '-c', 'wc -c; echo done >&2'] });
    const stream = await counter.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
    const heard = demultiplexed(stream);
    await counter.start();
    stream.write('x'.repeat(100_000));
    stream.end();
    assert.deepEqual(await heard, ['100000\n', 'done\n']);
    const speaker = await docker.createContainer({
      Image: 'busybox',
      Cmd: ['echo', 'plainly'],
      HostConfig: { AutoRemove: true },
    });
    const plain = await speaker.attach({ stream: true, stdout: true, stderr: true });
    const words = demultiplexed(plain);
    await speaker.start();
    assert.deepEqual(await words, ['plainly\n', '']);
  });

  test('a terminal: raw, resized, one stream', async () => {
    const container = await docker.createContainer({ Image: 'busybox', Cmd: ['sh'], Tty: true, OpenStdin: true });
    const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
    await container.start();
    await container.resize({ h: 33, w: 121 });
    stream.write('stty size; exit 4\n');
    assert.match(await text(stream as unknown as Readable), /33 121/);
    assert.equal((await container.wait()).StatusCode, 4);
    await container.remove();
  });

  test('the detach keys leave a terminal, and the process goes on', async () => {
    const container = await docker.createContainer({ Image: 'busybox', Cmd: ['sh'], Tty: true, OpenStdin: true });
    await container.start();
    const attached = { stream: true, stdin: true, stdout: true, stderr: true, hijack: true };
    for (const [options, keys] of [
      [attached, '\x10\x11'],
      [{ ...attached, detachKeys: 'ctrl-a,d' }, '\x01d'],
    ] as const) {
      const stream = await container.attach(options);
      const shown = text(stream as unknown as Readable);
      stream.write(`echo in$((40+2)) \x01\r${keys}`);
      await shown;
    }
    await assert.rejects(container.attach({ ...attached, detachKeys: 'ctrl-1' }), /invalid detach keys \(ctrl-1\)/);
    const shell = await container.exec({
      Cmd: ['sh'],
      AttachStdin: true,
      AttachStdout: true,
      Tty: true,
      DetachKeys: 'x',
    });
    const stream = await shell.start({ hijack: true, stdin: true });
    const shown = text(stream as unknown as Readable);
    stream.write('x');
    await shown;
    assert.equal((await shell.inspect()).Running, true);
    assert.equal((await container.inspect()).State.Running, true);
    await container.remove({ force: true });
    const now = Math.ceil(Date.now() / 1000);
    const events = await docker.getEvents({ since: now - 60, until: now, filters: { container: [container.id] } });
    const told = await text(events as Readable);
    assert.equal(told.split('"Action":"detach"').length - 1, 2, told);
    assert.match(told, /"Action":"exec_detach"/);
  });

  test('exec: streams, half-close, exit code, detached', async () => {
    const container = await sleeper();
    const counting = await container.exec({ Cmd: ['wc', '-c'], AttachStdin: true, AttachStdout: true });
    const stream = await counting.start({ hijack: true, stdin: true });
    const counted = demultiplexed(stream);
    stream.end('12345');
    assert.deepEqual(await counted, ['5\n', '']);
    const failing = await container.exec({
      Cmd: ['sh', '-c', 'echo o; echo e >&2; exit 6'],
      AttachStdout: true,
      AttachStderr: true,
    });
    assert.deepEqual(await demultiplexed(await failing.start({})), ['o\n', 'e\n']);
    assert.equal((await failing.inspect()).ExitCode, 6);
    const missing = await container.exec({ Cmd: ['no-such-program'], AttachStdout: true, AttachStderr: true });
    assert.match((await demultiplexed(await missing.start({})))[1], /no-such-program/);
    assert.equal((await missing.inspect()).ExitCode, 127);
    await container.remove({ force: true });
  });

  test('build, tag, inspect, history, save, load, remove', async () => {
    const words = await docker.buildImage(
      { context: `${import.meta.dirname}/context`, src: ['Dockerfile', 'word'] },
      { t: 'word:v1' },
    );
    const lines: { stream?: string; error?: string }[] = await new Promise((done, fail) =>
      docker.modem.followProgress(words, (error: Error | null, all: { stream?: string }[]) =>
        error === null ? done(all) : fail(error),
      ),
    );
    assert.match(lines.map(({ stream = '' }) => stream).join(''), /Successfully tagged word:v1/);
    const image = docker.getImage('word:v1');
    await image.tag({ repo: 'word', tag: 'v2' });
    const { RepoTags } = await image.inspect();
    assert.deepEqual(RepoTags.toSorted(), ['word:v1', 'word:v2']);
    const saved = await image.get();
    await docker.getImage('word:v2').remove();
    const archive = await buffer(saved);
    await image.remove();
    assert.match(await text(await docker.loadImage(Readable.from([archive]))), /Loaded image: word:v1/);
    const [, container, output] = await runToTheEnd('word:v1', []);
    assert.match(output, /a word/);
    await container.remove();
    await image.remove();
    await assert.rejects(image.inspect(), { statusCode: 404 });
  });

  test('archives, changes, statistics, logs, top, events, networks, volumes', async () => {
    const events = await docker.getEvents({ filters: { type: ['container'], event: ['rename'] } });
    const volume = await docker.createVolume({ Name: 'ode', Labels: { of: 'joy' } });
    const network = await docker.createNetwork({ Name: 'ode', Internal: true });
    const container = await sleeper({
      Cmd: ['sh', '-c', 'echo one; echo two >&2; exec sleep 1000'],
      HostConfig: { Binds: ['ode:/data'] },
      Labels: { of: 'joy' },
    });
    await network.connect({ Container: container.id, EndpointConfig: { Aliases: ['known'] } });
    assert.ok((await container.inspect()).NetworkSettings.Networks.ode?.IPAddress);
    await container.rename({ name: 'renamed' });
    const [event] = (await once(events, 'data')) as [Buffer];
    assert.equal(
      (JSON.parse(event.toString()) as { Actor: { Attributes: { name: string } } }).Actor.Attributes.name,
      'renamed',
    );
    (events as Readable).destroy();
    const taken = await container.getArchive({ path: '/etc/passwd' });
    await container.putArchive(taken as Readable, { path: '/data' });
    const stats = await container.stats({ stream: false });
    assert.ok(stats.memory_stats.usage > 0);
    const following = (await container.logs({ follow: true, stdout: true, stderr: true })) as unknown as Readable;
    const heard = demultiplexed(following);
    assert.match(JSON.stringify(await container.top()), /sleep 1000/);
    assert.equal((await docker.listContainers({ filters: { label: ['of=joy'], status: ['running'] } })).length, 1);
    await container.stop({ t: 0 });
    assert.deepEqual(await heard, ['one\n', 'two\n']);
    await container.remove({ v: true });
    await network.remove();
    await volume.remove();
  });

  test('what is not there, and what stands in the way, is told by status', async () => {
    await assert.rejects(docker.getContainer('nobody').inspect(), { statusCode: 404 });
    await assert.rejects(docker.createContainer({ Image: 'nothing:here' }), { statusCode: 404 });
    const container = await sleeper({ name: 'taken' });
    await assert.rejects(docker.createContainer({ Image: 'busybox', name: 'taken' }), { statusCode: 409 });
    await assert.rejects(container.start(), { statusCode: 304 });
    await assert.rejects(container.remove(), { statusCode: 409 });
    await container.remove({ force: true });
  });
});
