import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { packEntries } from '#tar/index.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { startHub } from '../harness/hub.ts';
import { gantryProgram, run } from '../harness/program.ts';
import { openTerminal } from '../harness/terminal.ts';

describe('what goes on is drawn in a terminal', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());

  /** A command in a terminal of 130 columns (script(1)), with every byte that it was sent. */
  const drawn = async (command: string) => {
    const args = ['-qec', `stty cols 130 rows 30; ${gantryProgram} ${command}`, '/dev/null'];
    const { code, stdout } = await run('script', args, { env: engine.env });
    assert.equal(code, 0, stdout);
    return stdout;
  };

  test('pushes and pulls draw a bar for each layer, in its own row', async () => {
    await using hub = await startHub();
    await hub.addUser('ana', 'correct horse');
    const login = ['login', hub.address, '-u', 'ana', '--password-stdin'];
    assert.equal((await engine.gantry(login, { input: 'correct horse' })).code, 0);
    const image = `${hub.address}/ana/large:v1`;
    const chunks: Uint8Array[] = [];
    const entry = { header: { name: 'large', type: 'file' as const }, body: randomBytes(20_000_000) };
    for await (const chunk of packEntries([entry])) chunks.push(chunk);
    assert.equal((await engine.gantry(['import', '-', image], { input: Buffer.concat(chunks) })).code, 0);

    const bar = /\x1b\[\d+A\x1b\[2K\r[0-9a-f]{12}: (Pushing|Downloading) +\[=*> *\] +\S+B\/\S+B\r\x1b\[\d+B/g;
    const pushed = await drawn(`push ${image}`);
    assert.ok([...pushed.matchAll(bar)].length > 1, pushed);
    assert.match(pushed, /[0-9a-f]{12}: Pushed/);
    assert.match(pushed, /v1: digest: sha256:[0-9a-f]{64} size: \d+/);
    assert.equal((await engine.gantry(['rmi', image])).code, 0);
    const pulled = await drawn(`pull ${image}`);
    assert.ok([...pulled.matchAll(bar)].length > 1, pulled);
    assert.match(pulled, /[0-9a-f]{12}: Pull complete/);
    assert.match(pulled, /Status: Downloaded newer image/);

    const plain = await engine.gantry(['pull', image]);
    assert.doesNotMatch(plain.stdout, /\x1b/, 'no control sequences where there is no terminal');
  });

  test('stats go on until they are interrupted, and see containers come', async () => {
    await engine.gantry(['run', '-d', '--name', 'first', 'busybox', 'sleep', '1000']);
    using terminal = openTerminal(engine.env, 140, 20);
    terminal.type(`${gantryProgram} stats\n`);
    await terminal.shows(/CONTAINER ID +NAME +CPU %[\s\S]*first/);
    await engine.gantry(['run', '-d', '--name', 'second', 'busybox', 'sleep', '1000']);
    await terminal.shows(/first[\s\S]*second|second[\s\S]*first/);
    await engine.gantry(['rm', '-f', 'first', 'second']);
    terminal.key('C-c');
    terminal.type('echo al""ive\n');
    await terminal.shows(/^alive$/m);
  });

  test('events are told as they come, by template too', async () => {
    using terminal = openTerminal(engine.env, 140, 20);
    terminal.type(`${gantryProgram} events --filter type=volume --format '{{.Action}} {{.Actor.ID}}'\n`);
    await terminal.shows(/events/);
    // Until the command listens, what happens is not heard.
    for (let i = 0; !/create gt-vol/.test(terminal.screen()); i++)
      await engine.gantry(['volume', 'create', `gt-vol-${i}`]);
    terminal.key('C-c');
    terminal.type('echo al""ive\n');
    await terminal.shows(/^alive$/m);
  });
});
