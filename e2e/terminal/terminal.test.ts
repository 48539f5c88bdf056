import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { gantryProgram, until } from '../harness/program.ts';
import { openTerminal } from '../harness/terminal.ts';

describe('gantry run -it in a terminal', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());

  test('is a terminal of the right size, follows resizes, and gives the old one back', async () => {
    using terminal = openTerminal(engine.env, 91, 23);
    terminal.type(`${gantryProgram} run -it --rm busybox sh; echo code=$?\n`);
    await terminal.shows(/\/ #\s*$/m);
    terminal.type('tty; stty size\n');
    await terminal.shows(/\/dev\/(pts\/0|console)\n23 91/);
    terminal.resize(70, 20);
    await until(() => {
      terminal.type('stty size\n');
      return /20 70/.test(terminal.screen()) ? true : undefined;
    });
    // The shell is asleep once this is read: keys that it reads before with the line are not yet signals.
    terminal.type("sh -c 'echo be''gun; exec sleep 100'\n");
    await terminal.shows(/^begun$/m);
    terminal.key('C-c');
    terminal.type('echo alive; exit 9\n');
    await terminal.shows(/code=9/);
    terminal.type('echo echoes\n');
    assert.match(await terminal.shows(/^echoes$/m), /echo echoes/, 'the terminal echoes again');
  });

  test('detaches with ctrl-p ctrl-q, and attaches again', async () => {
    using terminal = openTerminal(engine.env);
    terminal.type(`${gantryProgram} run -it --name away busybox sh; echo code=$?\n`);
    await terminal.shows(/\/ #\s*$/m);
    terminal.key('C-p');
    terminal.key('C-q');
    await terminal.shows(/code=0/);
    assert.match((await engine.gantry(['ps', '--format', '{{.Names}}'])).stdout, /^away$/m);
    terminal.type(`${gantryProgram} attach away; echo again=$?\n`);
    await until(() => {
      terminal.type('echo $((40 + 2))\n');
      return /^42$/m.test(terminal.screen()) ? true : undefined;
    });
    terminal.type('exit 3\n');
    await terminal.shows(/again=3/);
    await engine.gantry(['rm', 'away']);
  });

  test('refuses -t where stdin is no terminal', async () => {
    const { code, stderr } = await engine.gantry(['run', '--rm', '-it', 'busybox', 'true']);
    assert.notEqual(code, 0);
    assert.match(stderr, /the input device is not a TTY/);
  });

  test('exec -it is a terminal too', async () => {
    await engine.gantry(['run', '-d', '--name', 'host', 'busybox', 'sleep', '1000']);
    using terminal = openTerminal(engine.env, 88, 22);
    terminal.type(`${gantryProgram} exec -it host sh; echo code=$?\n`);
    await terminal.shows(/\/ #\s*$/m);
    terminal.type('stty size; exit 4\n');
    await terminal.shows(/22 88/);
    await terminal.shows(/code=4/);
    await engine.gantry(['rm', '-f', 'host']);
  });
});
