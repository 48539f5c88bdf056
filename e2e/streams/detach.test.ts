import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { commandsOf } from '../harness/commands.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { gantryProgram, until } from '../harness/program.ts';
import { openTerminal } from '../harness/terminal.ts';

const docker = spawnSync('docker', ['--version']).status === 0;

describe('attachments', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  const { ok } = commandsOf((args) => engine.gantry(args));
  const running = async (name: string) => (await ok('inspect', '-f', '{{.State.Running}}', name)) === 'true';

  for (const [program, skip] of [
    [gantryProgram, false],
    ['docker', !docker && 'no docker client on this machine'],
  ] as const)
    test(`the detach keys leave run, attach and exec, the usual ones and others: ${program.split('/').at(-1)}`, {
      skip,
    }, async () => {
      using terminal = openTerminal({ ...engine.env, PS1: 'shell> ' });
      const leave = async (command: string, keys: readonly string[]) => {
        terminal.type(`clear; ${program} ${command}; echo left with $?\n`);
        await terminal.shows(/^\/ #/m);
        terminal.type('echo in$((40+2))\n');
        await terminal.shows(/in42/);
        for (const key of keys) terminal.key(key);
        await terminal.shows(/left with \d/);
      };
      await leave('run -it --name held busybox sh', ['C-p', 'C-q']);
      assert.ok(await running('held'));
      terminal.type(`clear; ${program} attach --detach-keys ctrl-a,x held; echo left with $?\n`);
      // A part of the keys is typed after all.
      terminal.key('C-p');
      terminal.type('\n');
      await terminal.shows(/^\/ #/m);
      terminal.key('C-a');
      terminal.type('x');
      await terminal.shows(/left with \d/);
      assert.ok(await running('held'));
      await leave('exec -it --detach-keys ctrl-e held sh', ['C-e']);
      assert.ok(await running('held'));
      await ok('rm', '-f', 'held');
    });

  test('stdin is closed alone: the process reads its end, and its output still comes', async () => {
    const counted = await engine.gantry(['run', '-i', '--rm', 'busybox', 'sh', '-c', 'wc -c; sleep 0.2; echo after'], {
      input: 'x'.repeat(1_000_000),
    });
    assert.deepEqual(counted, { code: 0, stdout: '1000000\nafter\n', stderr: '' });
    await ok('run', '-d', '--name', 'open', 'busybox', 'sleep', '1000');
    const executed = await engine.gantry(['exec', '-i', 'open', 'sh', '-c', 'cat; sleep 0.2; echo after >&2'], {
      input: 'in\n',
    });
    assert.deepEqual(executed, { code: 0, stdout: 'in\n', stderr: 'after\n' });
    // Several at once; one that leaves does not close what others use.
    await ok(
      'run',
      '-d',
      '-i',
      '--name',
      'shared',
      'busybox',
      'sh',
      '-c',
      'while read -r line; do echo "got $line"; done; echo end',
    );
    for (const word of ['one', 'two']) await writeTo(word);
    await until(async () => ((await ok('logs', 'shared')) === 'got one\ngot two' ? true : undefined));
    assert.ok(await running('shared'));

    /** A client that writes a line and goes. */
    async function writeTo(word: string): Promise<void> {
      const socket = connect(engine.host.slice('unix://'.length));
      socket.write(
        'POST /containers/shared/attach?stream=1&stdin=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
      );
      await new Promise((done) => socket.once('data', done));
      socket.write(`${word}\n`);
      await until(async () => ((await ok('logs', 'shared')).includes(word) ? true : undefined));
      socket.destroy();
    }
  });
});
