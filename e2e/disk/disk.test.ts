import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { packEntries } from '#tar/index.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';
import { reasonToSkip, smallDisk } from './small-disk.ts';

/** Talks until it is killed, a number a line. */
const talk = 'i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.01; done';

async function largeTar(bytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of packEntries([{ header: { name: 'large', type: 'file' }, body: randomBytes(bytes) }]))
    chunks.push(chunk);
  return Buffer.concat(chunks);
}

const fails = async (engine: Engine, why: RegExp, args: readonly string[], input?: Buffer) => {
  const { code, stdout, stderr } = await engine.gantry(args, input === undefined ? {} : { input });
  assert.notEqual(code, 0, `gantry ${args.join(' ')} did not fail: ${stdout}`);
  assert.match(stderr, why, `gantry ${args.join(' ')}: ${stdout}`);
};

const works = async (engine: Engine, ...args: string[]) => {
  const { code, stdout, stderr } = await engine.gantry(args);
  assert.equal(code, 0, `gantry ${args.join(' ')}: ${stderr}`);
  return stdout;
};

describe('the disk of the data root', { skip: reasonToSkip() }, () => {
  test('is full: what needs room says so and what to do, the rest goes on, and room given back is enough', async () => {
    using disk = smallDisk(64);
    await using engine = await startEngine(['--data-root', `${disk.path}/data`]);
    const full = /no space left|disk is full/i;
    const told = /the disk of the data root is full: .*gantry system prune/;
    await works(engine, 'run', '-d', '--name', 'talks', 'busybox', 'sh', '-c', talk);
    await fails(engine, told, ['import', '-', 'large'], await largeTar(80_000_000));
    assert.equal(await works(engine, 'images', '-q', 'large'), '');
    await fails(engine, full, ['run', '--name', 'fills', 'busybox', 'sh', '-c', 'cat /dev/zero > /fill']);
    // The last few blocks: small files find room where a large one does not.
    const context = `${engine.root}/context`;
    mkdirSync(context);
    writeFileSync(`${context}/data`, randomBytes(200_000));
    writeFileSync(`${context}/Dockerfile`, 'FROM busybox\nCOPY data /data\nRUN cat /data > /copy\n');
    await fails(engine, told, ['build', context]);
    await fails(engine, told, ['import', '-', 'large'], await largeTar(1_000_000));
    await fails(engine, told, ['run', '--rm', 'busybox', 'true']);

    assert.equal(await works(engine, 'exec', 'talks', 'echo', 'still here'), 'still here\n');
    assert.match(await works(engine, 'ps', '--format', '{{.Names}}'), /talks/);
    assert.match(await works(engine, 'logs', 'talks'), /^line 1\n/);

    await works(engine, 'rm', 'fills');
    assert.equal(await works(engine, 'run', '--rm', 'busybox', 'echo', 'room'), 'room\n');
    await works(engine, 'build', '-t', 'built', context);
    const seen = (await works(engine, 'logs', '-n', '1', 'talks')).trim();
    await until(async () => ((await works(engine, 'logs', '-n', '1', 'talks')).trim() !== seen ? true : undefined));
    // Lines that found no room are missing; every line that is there is whole.
    for (const line of (await works(engine, 'logs', 'talks')).trimEnd().split('\n')) assert.match(line, /^line \d+$/);
    await engine.restart();
    assert.match(await works(engine, 'ps', '--format', '{{.Names}}'), /talks/);
    await works(engine, 'system', 'check');
    await works(engine, 'rm', '-f', 'talks');
  });

  test('breaks and is read-only: what writes says so, what reads goes on, and a repaired disk is all there', async () => {
    using disk = smallDisk(64);
    await using engine = await startEngine(['--data-root', `${disk.path}/data`]);
    await works(engine, 'run', '-d', '--name', 'talks', 'busybox', 'sh', '-c', talk);
    await works(engine, 'create', '--name', 'made', 'busybox', 'true');
    await until(async () => ((await works(engine, 'logs', 'talks')).includes('line 5\n') ? true : undefined));
    disk.break();
    const told = /the disk of the data root (?:is read-only|cannot be written)/;
    await fails(engine, told, ['run', '--rm', 'busybox', 'true']);
    await fails(engine, told, ['import', '-', 'large'], await largeTar(1000));
    await fails(engine, told, ['volume', 'create', 'new']);
    await fails(engine, told, ['build', '-'], Buffer.from('FROM busybox\nRUN echo x > /x\n'));
    assert.equal(await works(engine, 'exec', 'talks', 'echo', 'still here'), 'still here\n');
    assert.match(await works(engine, 'logs', 'talks'), /^line 1\n/);
    assert.match(await works(engine, 'images'), /busybox/);

    const { State } = JSON.parse(await works(engine, 'inspect', 'talks'))[0] as { State: { Pid: number } };
    await engine.kill('SIGKILL');
    process.kill(State.Pid, 'SIGKILL');
    await until(() => {
      try {
        disk.repair();
        return true;
      } catch (error) {
        if (!/busy/.test(String(error))) throw error;
        return undefined;
      }
    });
    await engine.restart();
    assert.match(await works(engine, 'ps', '-a', '--format', '{{.Names}} {{.State}}'), /^made created$/m);
    assert.equal(await works(engine, 'run', '--rm', 'busybox', 'echo', 'room'), 'room\n');
    await works(engine, 'rm', '-f', 'talks', 'made');
  });
});
