import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
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

  test('a build is drawn in place: its steps with their times, what runs and says, what failed, was cached or given up', async () => {
    const context = `${engine.root}/drawn`;
    mkdirSync(context);
    const dockerfile = (last: string) =>
      writeFileSync(
        `${context}/Dockerfile`,
        [
          'FROM busybox AS slow',
          'RUN echo slow-says; sleep 1000',
          'FROM busybox AS other',
          last,
          'FROM busybox',
          'COPY --from=slow /etc/passwd /one',
          'COPY --from=other /etc/passwd /two',
        ].join('\n'),
      );
    using terminal = openTerminal(engine.env, 100, 30);
    dockerfile('RUN for i in $(seq 30); do echo line-$i; done; sleep 1; exit 3');
    terminal.type(`clear; ${gantryProgram} build ${context}; echo code=$?\n`);
    await terminal.shows(/ => => # slow-says/);
    const failed = await terminal.shows(/code=1/);
    assert.match(failed, /\[\+\] Building \d+\.\ds \(\d\/\d\) FINISHED/);
    assert.equal(failed.match(/Building/g)?.length, 1, `drawn in place:\n${failed}`);
    assert.match(failed, / => CANCELED \[slow 2\/2\] RUN echo slow-says.* \d+\.\ds/);
    assert.match(failed, / => ERROR \[other 2\/2\] RUN for i in .* \d+\.\ds/);
    assert.match(failed, / > \[other 2\/2\] RUN for i in [\s\S]*line-11\n[\s\S]*line-30\n-{6}\n/);
    assert.doesNotMatch(failed, /line-10\n/, 'the last 20 lines');
    assert.match(failed, /Dockerfile:4:1: .*exit code 3\n[\s\S]*> 4 \| RUN for i/);

    dockerfile('RUN echo fine');
    terminal.type(`clear; ${gantryProgram} build -t drawn ${context}; echo code=$?\n`);
    await terminal.shows(/ => => # slow-says/);
    terminal.key('C-c');
    terminal.type('echo al""ive\n');
    await terminal.shows(/^alive$/m);
    writeFileSync(`${context}/Dockerfile`, 'FROM busybox\nRUN echo once\n');
    for (const how of ['', 'CACHED ']) {
      terminal.type(`clear; ${gantryProgram} build -t drawn ${context}; echo code=$?\n`);
      await terminal.shows(
        new RegExp(` => ${how}\\[2/2\\] RUN echo once .*\\n[\\s\\S]*drawn:latest\\n[\\s\\S]*code=0`),
      );
    }
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
