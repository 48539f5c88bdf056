import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './random.ts';
import type { KilledDaemon } from './sure-calls.ts';

/** One round of something that users do; what must hold is asserted in it. */
export type Actor = (daemon: KilledDaemon, random: Random, name: string) => Promise<void>;

interface State {
  readonly State: { readonly Status: string; readonly ExitCode: number; readonly StartedAt: string };
}

const shell = (script: string) => ['sh', '-c', script];

/** Creates a container of this name, once, and starts it; a daemon that dies meanwhile changes nothing. */
async function start(daemon: KilledDaemon, name: string, config: object): Promise<void> {
  const made = await daemon.call('POST', `/containers/create?name=${name}`, { Image: 'busybox', ...config });
  // 409: created just before a daemon died, which could not say so any more.
  assert.ok(made.status === 201 || made.status === 409, `create ${name}: ${made.text}`);
  for (;;) {
    const started = await daemon.callOnce('POST', `/containers/${name}/start`);
    if (started !== undefined) {
      assert.ok(started.status === 204 || started.status === 304, `start ${name}: ${started.text}`);
      return;
    }
    // It may have run, and ended, all the same: then it must not run again.
    const { body } = await daemon.call('GET', `/containers/${name}/json`);
    if (!(body as State).State.StartedAt.startsWith('0001-')) return;
  }
}

async function exitCode(daemon: KilledDaemon, name: string): Promise<number> {
  for (;;) {
    const { status, body, text } = await daemon.call('GET', `/containers/${name}/json`);
    assert.equal(status, 200, `inspect ${name}: ${text}`);
    const { Status, ExitCode } = (body as State).State;
    if (Status === 'exited') return ExitCode;
    await sleep(20);
  }
}

async function remove(daemon: KilledDaemon, path: string): Promise<void> {
  const { status, text } = await daemon.call('DELETE', path);
  assert.ok(status === 204 || status === 404, `DELETE ${path}: ${text}`);
}

/** Writes lines, as fast as it can or slowly, and ends: every line is there, and its exit code. */
export const writes: Actor = async (daemon, random, name) => {
  const lines = random.integer(1, 3000);
  const code = random.integer(0, 255);
  const pause = random.oneOf(['', '', '[ $((i % 50)) = 0 ] && sleep 0.05;']);
  await start(daemon, name, {
    Cmd: shell(`i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo "line $i"; ${pause} done; exit ${code}`),
  });
  assert.equal(await exitCode(daemon, name), code, `the exit code of ${name}`);
  const { stdout, stderr } = await daemon.sureCommand(['logs', name]);
  const expected = Array.from({ length: lines }, (_, i) => `line ${i + 1}\n`).join('');
  assert.ok(stdout === expected, `${name}: of ${lines} lines ${stdout.split('\n').length - 1} are there; ${stderr}`);
  await remove(daemon, `/containers/${name}`);
};

/** Input goes through a container and comes back whole, with its exit code. */
export const attaches: Actor = async (daemon, random, name) => {
  const code = random.integer(0, 200);
  const input = `${'abcdefghij'.repeat(random.integer(1, 5000))}\n`;
  const outcome = await daemon.command(['run', '-i', '--name', name, 'busybox', ...shell(`cat; exit ${code}`)], {
    input,
  });
  if (outcome !== undefined) {
    assert.equal(outcome.code, code, `run -i ${name}: ${outcome.stderr}`);
    assert.ok(outcome.stdout === input, `${name}: ${outcome.stdout.length} of ${input.length} bytes came back`);
  }
  await remove(daemon, `/containers/${name}?force=1`);
};

/** A running container executes commands, each with its own output and exit code. */
export const executes: Actor = async (daemon, random, name) => {
  await start(daemon, name, { Cmd: ['sleep', '1000'], HostConfig: { Init: true } });
  for (let i = random.integer(1, 6); i > 0; i--) {
    const [count, code] = [random.integer(1, 2000), random.integer(0, 255)];
    const outcome = await daemon.command(['exec', name, ...shell(`seq ${count}; exit ${code}`)]);
    if (outcome === undefined) continue;
    assert.equal(outcome.code, code, `exec ${name}: ${outcome.stderr}`);
    assert.equal(outcome.stdout.split('\n').length - 1, count, `lines of exec in ${name}`);
  }
  await remove(daemon, `/containers/${name}?force=1`);
};

/** A signal ends a container with the exit code that it stands for. */
export const kills: Actor = async (daemon, random, name) => {
  const code = random.integer(1, 99);
  await start(daemon, name, { Cmd: shell(`trap "exit ${code}" TERM; echo ready; while :; do sleep 0.02; done`) });
  while (!(await daemon.sureCommand(['logs', name])).stdout.includes('ready')) await sleep(20);
  const signal = random.oneOf(['TERM', 'KILL']);
  const killed = await daemon.call('POST', `/containers/${name}/kill?signal=${signal}`);
  assert.ok(killed.status === 204 || killed.status === 409, `kill ${name}: ${killed.text}`);
  assert.equal(
    await exitCode(daemon, name),
    signal === 'KILL' ? 137 : code,
    `the exit code of ${name} after ${signal}`,
  );
  await remove(daemon, `/containers/${name}?v=1`);
};

/** A network of its own with a published port, and a volume. */
export const connects: Actor = async (daemon, _random, name) => {
  const made = await daemon.call('POST', '/networks/create', { Name: name, CheckDuplicate: true });
  assert.ok(made.status === 201 || made.status === 409, `network ${name}: ${made.text}`);
  await start(daemon, name, {
    Cmd: ['sleep', '1000'],
    HostConfig: {
      Init: true,
      NetworkMode: name,
      Binds: [`${name}:/data`],
      PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] },
    },
  });
  const listed = await daemon.command(['exec', name, ...shell('ip -o -4 addr show scope global | wc -l')]);
  if (listed !== undefined) assert.equal(listed.stdout, '1\n', `addresses of ${name}: ${listed.stderr}`);
  await remove(daemon, `/containers/${name}?force=1`);
  await remove(daemon, `/networks/${name}`);
  await remove(daemon, `/volumes/${name}`);
};

/** What has ended is pruned, with what came with it. */
export const prunes: Actor = async (daemon, random, name) => {
  const label = { Labels: { soak: name } };
  for (let i = random.integer(1, 3); i > 0; i--) {
    await start(daemon, `${name}-${i}`, { Cmd: ['true'], Volumes: { '/data': {} }, ...label });
    assert.equal(await exitCode(daemon, `${name}-${i}`), 0);
  }
  await daemon.call('POST', '/networks/create', { Name: name, ...label });
  const filters = encodeURIComponent(JSON.stringify({ label: [`soak=${name}`] }));
  for (const kind of ['containers', 'networks']) {
    const { status, text } = await daemon.call('POST', `/${kind}/prune?filters=${filters}`);
    assert.equal(status, 200, `prune ${kind}: ${text}`);
  }
  const { status, text } = await daemon.call('POST', '/volumes/prune');
  assert.equal(status, 200, `prune volumes: ${text}`);
  const left = await daemon.call('GET', `/containers/json?all=1&filters=${filters}`);
  assert.deepEqual(left.body, [], `${name}: pruned containers are still listed`);
};
