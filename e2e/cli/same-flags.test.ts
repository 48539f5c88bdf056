import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { gantryProgram, run } from '../harness/program.ts';

const absent = spawnSync('docker', ['--version']).status !== 0 && 'no docker client on this machine';

/** Docker's that are not ours (SCOPE.md). */
const notOurs = new Set(['swarm', 'service', 'stack', 'node', 'secret', 'config', 'plugin', 'trust', 'buildx']);

interface Help {
  /** Long name → shorthand and whether it takes a value, e.g. `-f, value`. */
  readonly flags: ReadonlyMap<string, string>;
  readonly commands: readonly string[];
}

/** With no engine to ask: Docker's client hides what the engine that answers is too old for. */
const nowhere = { DOCKER_HOST: 'unix:///nosuch.sock', GANTRY_HOST: 'unix:///nosuch.sock' };

const texts = new Map<string, Promise<string | undefined>>();

/** A command's help; undefined where there is none. */
function textOf(program: string, words: readonly string[]): Promise<string | undefined> {
  const call = [program, ...words].join(' ');
  const known = texts.get(call);
  if (known !== undefined) return known;
  const text = run(program, [...words, '--help'], { env: nowhere }).then(({ code, stdout }) =>
    code === 0 && stdout !== '' ? stdout : undefined,
  );
  texts.set(call, text);
  return text;
}

async function helpOf(program: string, words: readonly string[]): Promise<Help | undefined> {
  const stdout = await textOf(program, words);
  if (stdout === undefined) return undefined;
  const flags = new Map<string, string>();
  const commands: string[] = [];
  let section = '';
  for (const line of stdout.split('\n')) {
    section = /^(\S.*):\s*$/.exec(line)?.[1] ?? section;
    const [, short, long, label] = /^ {2,6}(?:-(\w), )? *--([\w-]+)(?: (\S+))?(?: {2,}|$)/.exec(line) ?? [];
    if (section.endsWith('Options') && long !== undefined)
      flags.set(
        long,
        [...(short === undefined ? [] : [`-${short}`]), label === undefined ? 'switch' : 'value'].join(', '),
      );
    const [, command] = /^ {2}([a-z]\S*?)\*? /.exec(line) ?? [];
    if (section.endsWith('Commands') && command !== undefined) commands.push(command);
  }
  return { flags, commands };
}

/** What of a command of Docker's and those below it ours lacks, or has otherwise. */
async function holesOf(words: readonly string[], seen: string[]): Promise<readonly string[]> {
  const [theirs, ours] = await Promise.all([helpOf('docker', words), helpOf(gantryProgram, words)]);
  const name = ['gantry', ...words].join(' ');
  seen.push(name);
  if (theirs === undefined) return [];
  if (ours === undefined) return [`${name}: missing`];
  const flags = [...theirs.flags].flatMap(([flag, shape]) => {
    const own = ours.flags.get(flag);
    return own === shape ? [] : [`${name} --${flag}: ${own === undefined ? 'missing' : own}, docker has ${shape}`];
  });
  const holes: string[] = [...flags];
  for (const command of theirs.commands)
    if (words.length > 0 || !notOurs.has(command)) holes.push(...(await holesOf([...words, command], seen)));
  return holes;
}

test("every command and flag of the stock docker client's help is in ours", { skip: absent }, async (t) => {
  const seen: string[] = [];
  const holes = await holesOf([], seen);
  t.diagnostic(`${seen.length} commands compared`);
  assert.deepEqual(holes, []);
  assert.ok(seen.length > 100, `docker's help named only ${seen.join(', ')}`);
});

test('the help of every command keeps to 80 columns', async () => {
  const wide: string[] = [];
  const visit = async (words: readonly string[]): Promise<void> => {
    for (const line of (await textOf(gantryProgram, words))?.split('\n') ?? [`${words.join(' ')} has no help`])
      if ([...line].length > 80) wide.push(`${['gantry', ...words].join(' ')}: ${line}`);
    for (const command of (await helpOf(gantryProgram, words))?.commands ?? [])
      if (words.length === 0 ? command !== 'hub' && command !== 'daemon' : words.length < 2)
        await visit([...words, command]);
  };
  await visit([]);
  assert.deepEqual(wide, []);
});

test('a flag that is understood and not built is refused by its name', async () => {
  const calls = [
    ['run', '--isolation', 'hyperv', 'busybox'],
    ['run', '--kernel-memory', '64m', 'busybox'],
    ['create', '--cpu-count', '2', 'busybox'],
    ['pull', '--disable-content-trust=false', 'busybox'],
    ['start', '--checkpoint', 'one', 'made'],
    ['volume', 'create', '--scope', 'multi'],
    ['build', '--rm=false', '.'],
    ['checkpoint', 'ls', 'made'],
  ];
  for (const call of calls) {
    const { code, stderr } = await run(gantryProgram, call, { env: nowhere });
    assert.notEqual(code, 0, call.join(' '));
    assert.match(stderr, /not supported|no intermediate containers/, call.join(' '));
    assert.ok(!stderr.includes('Cannot connect'), call.join(' '));
  }
});
