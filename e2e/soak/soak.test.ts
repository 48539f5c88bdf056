// The engine under everything at once, while its daemon is killed again and again. GANTRY_SOAK_SECONDS says how long (20
// by default), GANTRY_SOAK_SEED repeats what a seed found.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';
import { type Actor, attaches, connects, executes, kills, prunes, writes } from './actors.ts';
import { inspectorOptions, openLiveMemory } from './live-memory.ts';
import { createRandom, type Random } from './random.ts';
import { type KilledDaemon, killedDaemon } from './sure-calls.ts';
import { openFiles, ownMemory, tracesOf } from './traces.ts';

const seconds = Number(process.env.GANTRY_SOAK_SECONDS || 20);
const seed = Number(process.env.GANTRY_SOAK_SEED || Date.now() % 2 ** 31);
const actors: Readonly<Record<string, Actor>> = { writes, attaches, executes, kills, connects, prunes };

/** What went wrong; the first of it ends everything, so that a daemon is left to be looked at. */
const failures: string[] = [];

/** Every actor does its rounds until the time is over. @returns how many each did */
async function allAct(daemon: KilledDaemon, random: Random, round: string, end: number): Promise<string> {
  const done = await Promise.all(
    Object.entries(actors).map(async ([name, act]) => {
      const own = random.fork(`${round}${name}`);
      let rounds = 0;
      while (Date.now() < end && failures.length === 0)
        await act(daemon, own, `gt-${name}-${round}-${rounds++}`).catch((error: unknown) =>
          failures.push(`${name}: ${error instanceof Error ? error.message : error}`),
        );
      return `${name} ${rounds}`;
    }),
  );
  return done.join(', ');
}

test(`${seconds} s of everything at once, seed ${seed}`, { timeout: seconds * 3000 + 120_000 }, async (t) => {
  process.env.NODE_OPTIONS = inspectorOptions;
  await using engine = await startEngine();
  const random = createRandom(seed);
  const daemon = killedDaemon(engine);
  const { body: info } = await engine.api('GET', '/info');
  const prefix = `gt${(info as { ID: string }).ID.slice(0, 5)}`;
  const counter = 'trap "echo end; exit 7" TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.005; done';
  // A first container makes the folders that all of them lie in.
  assert.equal((await engine.gantry(['run', '--rm', 'busybox', 'true'])).code, 0);
  const before = tracesOf(engine, prefix);
  await engine.gantry(['run', '-d', '--restart', 'no', '--name', 'gt-counter', 'busybox', 'sh', '-c', counter]);
  await engine.gantry(['run', '-d', '--restart', 'always', '--name', 'gt-always', 'busybox', 'sleep', '1000']);

  const begun = Date.now();
  const stopKilling = begun + seconds * 600;
  const killing = (async () => {
    const own = random.fork('killing');
    for (;;) {
      await sleep(own.integer(200, 3000));
      if (Date.now() > stopKilling || failures.length > 0) return;
      await daemon.killAndRestart().catch((error: unknown) => failures.push(`restarting: ${error}`));
    }
  })();
  const [killed] = await Promise.all([allAct(daemon, random, 'killed', stopKilling), killing]);
  t.diagnostic(`while the daemon was killed ${daemon.deaths()} times: ${killed}`);
  for (const failure of failures) t.diagnostic(failure);
  assert.deepEqual(failures, [], engine.output());

  // The last daemon lives: what it holds after a while it holds at the end.
  using live = await openLiveMemory(engine);
  await allAct(daemon, random, 'warm', begun + seconds * 750);
  const warm = { files: openFiles(engine.pid()), memory: ownMemory(engine.pid()), live: await live.read() };
  t.diagnostic(`in peace: ${await allAct(daemon, random, 'peace', begun + seconds * 1000)}`);
  assert.deepEqual(failures, [], engine.output());

  const { stdout: running } = await engine.gantry(['ps', '--format', '{{.Names}}']);
  assert.deepEqual(running.trimEnd().split('\n').toSorted(), ['gt-always', 'gt-counter']);
  assert.equal((await engine.gantry(['stop', '-t', '30', 'gt-counter'])).code, 0);
  assert.equal((await engine.gantry(['wait', 'gt-counter'])).stdout, '7\n');
  const lines = (await engine.gantry(['logs', 'gt-counter'])).stdout.trimEnd().split('\n');
  assert.equal(lines.pop(), 'end');
  const lost = lines.findIndex((line, at) => line !== String(at + 1));
  assert.equal(lost, -1, `line ${lost + 1} of the counter is ${lines[lost]}`);
  t.diagnostic(`${lines.length} lines of the counter, none lost`);
  for (const name of ['gt-counter', 'gt-always']) await engine.gantry(['rm', '-f', '-v', name]);

  // Of a create that died halfway an anonymous volume may be left, which nobody uses.
  assert.equal((await engine.gantry(['volume', 'prune', '-af'])).code, 0);

  // Links and namespaces are torn down after the answer.
  const what = ['files', 'links', 'mounts', 'cgroups', 'elements', 'processes'] as const;
  const left = () => {
    const now = tracesOf(engine, prefix);
    return what.flatMap((kind) =>
      now[kind].filter((one) => !before[kind].includes(one)).map((one) => `${kind}: ${one}`),
    );
  };
  await until(() => (left().length === 0 ? true : undefined)).catch(() => assert.deepEqual(left(), []));
  await until(() => (openFiles(engine.pid()) <= warm.files ? true : undefined)).catch(() =>
    assert.fail(`the daemon has ${openFiles(engine.pid())} files open, ${warm.files} while it was busy`),
  );
  // What is reachable is flat. The process's size moves by tens of megabytes with its collections: it is only told.
  const mega = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const held = await live.read();
  t.diagnostic(
    `live ${mega(warm.live)}, at the end ${mega(held)}; of its own ${mega(warm.memory)}, at the end ${mega(ownMemory(engine.pid()))}`,
  );
  assert.ok(held < warm.live * 1.1 + 6e6, `what the daemon holds grew from ${mega(warm.live)} to ${mega(held)}`);
});
