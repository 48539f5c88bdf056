import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { project, run } from '../harness/program.ts';
import { openTerminal, type Terminal } from '../harness/terminal.ts';

/** How each shell is started bare, and told of the completion. */
const shells: Readonly<Record<string, readonly string[]>> = {
  bash: ['bash --norc --noprofile', 'source <(gantry completion bash)'],
  zsh: ['zsh -f', 'autoload -Uz compinit; compinit -D -u; source <(gantry completion zsh)'],
  fish: ['fish --no-config', 'gantry completion fish | source'],
};

/** What is typed before Tab, and what then stands on the line. */
const unique: readonly (readonly [typed: string, line: RegExp])[] = [
  ['gantry exec worker', /gantry exec worker-alpha/],
  ['gantry ru', /gantry run/],
  ['gantry run --netw', /gantry run --network/],
  ['gantry run --network back', /gantry run --network backplane/],
  ['gantry run --network=back', /gantry run --network=backplane/],
  ['gantry run gt-im', /gantry run gt-image/],
  ['gantry rmi gt-image:fir', /gantry rmi gt-image:first/],
  ['gantry volume rm dat', /gantry volume rm database/],
  ['gantry -D image insp', /gantry -D image inspect/],
  ['gantry stop --signal SIGK', /gantry stop --signal SIGKILL/],
  ['gantry context use el', /gantry context use elsewhere/],
  ['gantry run --env-file gt-folder/some', /gantry run --env-file gt-folder\/some-file/],
];

describe('completion in real shells', () => {
  let engine: Engine;
  let env: Readonly<Record<string, string>>;
  before(async () => {
    engine = await startEngine();
    const make = async (...args: string[]) => assert.equal((await engine.gantry(args)).code, 0, args.join(' '));
    await make('run', '-d', '--name', 'worker-alpha', 'busybox', 'sleep', '1000');
    await make('create', '--name', 'worker-beta', 'busybox', 'true');
    await make('network', 'create', 'backplane');
    await make('volume', 'create', 'database');
    await make('tag', 'busybox', 'gt-image:first');
    await make('context', 'create', 'elsewhere', '--docker', `host=${engine.host}`);
    mkdirSync(`${engine.root}/gt-folder`);
    writeFileSync(`${engine.root}/gt-folder/some-file`, '');
    env = { ...engine.env, PATH: `${project}/bin:${process.env.PATH}`, HOME: engine.root, LC_ALL: 'C.UTF-8' };
  });
  after(() => engine[Symbol.asyncDispose]());

  const asked = async (...words: string[]) => {
    const { stdout } = await run(`${project}/bin/gantry`, ['__complete', '--', ...words], { env });
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t')[0]);
  };

  test('names are those that fit where they stand', async () => {
    assert.deepEqual(await asked('start', ''), ['worker-beta', ':names']);
    assert.deepEqual(await asked('stop', ''), ['worker-alpha', ':names']);
    assert.deepEqual((await asked('rm', 'worker-alpha', '')).toSorted(), [':names', 'worker-beta']);
    assert.deepEqual(await asked('exec', 'worker-alpha', ''), [':names']);
    assert.deepEqual(await asked('-H', 'unix:///nosuch', 'stop', ''), [':names']);
    assert.deepEqual(await asked('cp', 'worker-a'), ['worker-alpha:', ':files']);
    assert.ok((await asked('inspect', '')).includes('backplane'));
    assert.ok((await asked('')).includes('network'));
    assert.ok(!(await asked('')).includes('__complete'));
    assert.deepEqual(await asked('ps', '--filter', 'status=p'), ['status=paused', ':names']);
  });

  for (const [shell, [start = '', load = '']] of Object.entries(shells))
    test(`${shell} completes commands, flags, names and files`, {
      skip: !existsSync(`/usr/bin/${shell}`) && `${shell} is not installed`,
    }, async () => {
      using terminal = openTerminal(env, 120, 30);
      terminal.type(`cd ${engine.root}; PS1='$ ' exec ${start}\n`);
      if (shell === 'fish') terminal.type("function fish_prompt; echo -n '$ '; end; function fish_right_prompt; end\n");
      terminal.type(`${load}; echo load''ed\n`);
      await terminal.shows(/^loaded$/m);
      for (const [typed, line] of unique) await completes(terminal, typed, line);
      terminal.type('gantry rm worker-');
      terminal.key('Tab');
      if (shell === 'bash') terminal.key('Tab');
      await terminal.shows(/worker-alpha\s+.*worker-beta|worker-alpha.*\n.*worker-beta/);
      terminal.key('C-c');
    });
});

async function completes(terminal: Terminal, typed: string, line: RegExp): Promise<void> {
  terminal.type(typed);
  terminal.key('Tab');
  await terminal.shows(line);
  terminal.key('C-u'); // an interrupt would throw away what is typed next
}
