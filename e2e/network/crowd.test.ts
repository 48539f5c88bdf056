import './own-namespace.ts';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { kernel, listLinks, openNetlink } from '#linux/index.ts';
import { createNetworks } from '#network/index.ts';
import { until } from '../harness/program.ts';
import { ask } from './machine.ts';

const directory = mkdtempSync(`${tmpdir()}/gantry-crowd-`);
after(() => rmSync(directory, { recursive: true }));
const bridge = 'gtcrowd0';
const containers = 300;

/** Processes with network namespaces of their own, each a container's. */
async function crowd(): Promise<{ readonly pids: readonly number[] } & AsyncDisposable> {
  const script = `for i in $(seq ${containers}); do unshare -n sleep 300 & echo $!; done; wait`;
  const shell = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  shell.stdout.on('data', (data: Buffer) => {
    text += data.toString();
  });
  const listed = await until(() => {
    const found = text.trim().split('\n').map(Number);
    return found.length === containers ? found : undefined;
  });
  const own = readlinkSync('/proc/self/ns/net');
  await until(() => (listed.every((pid) => readlinkSync(`/proc/${pid}/ns/net`) !== own) ? true : undefined));
  return {
    pids: listed,
    async [Symbol.asyncDispose]() {
      const gone = once(shell, 'exit');
      for (const pid of listed) process.kill(pid, 'SIGKILL');
      await gone;
    },
  };
}

const links = (): readonly string[] => {
  using socket = openNetlink(kernel, 'route');
  return listLinks(socket).map(({ name }) => name);
};

test('100 networks, 300 containers and 1,000 ports outlive a SIGKILL, and nothing of them is left in the end', async () => {
  await using people = await crowd();
  const database = `${directory}/networks.db`;
  const program = fileURLToPath(new URL('./crowd-engine.ts', import.meta.url));
  const engine = spawn(process.execPath, [program, database, bridge, ...people.pids.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  engine.stdout.on('data', (data: Buffer) => {
    said += data.toString();
  });
  // In the middle of what it does: some networks are being made, some containers let go.
  await until(() => (said.includes('made\n...') || engine.exitCode !== null ? true : undefined), 60_000);
  const killed = once(engine, 'exit');
  engine.kill('SIGKILL');
  await killed;

  const networks = createNetworks({ db: new DatabaseSync(database) }, { bridge });
  await networks.open(new Set(people.pids.keys().map(String)));
  const made = networks.list().filter(({ name }) => name.startsWith('net'));
  assert.equal(made.length, 100);
  assert.equal(new Set(made.map(({ subnet }) => subnet)).size, 100);
  const endpoints = networks.list().flatMap(({ id }) => networks.endpointsIn(id));
  assert.ok(endpoints.length > containers / 2);
  assert.equal(endpoints.flatMap(({ ports }) => ports).filter(({ hostPort }) => hostPort < 12_000).length, 700);
  assert.equal(await ask(undefined, '127.0.0.1', 10_099), 'ECONNREFUSED', 'by the container, where nothing listens');
  const bridges = new Set(networks.list().flatMap((network) => network.bridge ?? []));
  const ours = links().filter((name) => name.startsWith('gtbr'));
  await until(() => (links().filter((name) => name.startsWith('gtbr')).length <= bridges.size - 1 ? true : undefined));
  assert.ok(ours.length >= 100);

  for (const owner of people.pids.keys()) await networks.release(String(owner));
  for (const { name } of networks.list().filter(({ builtIn }) => !builtIn)) await networks.remove(name);
  await networks[Symbol.asyncDispose]();
  assert.deepEqual(links(), ['lo']);
  assert.equal(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }), '');
  const rows = new DatabaseSync(database)
    .prepare(
      'SELECT (SELECT count(*) FROM net_endpoints) AS endpoints, (SELECT count(*) FROM net_ports) AS ports, (SELECT count(*) FROM net_networks) AS networks',
    )
    .get();
  assert.deepEqual({ ...rows }, { endpoints: 0, ports: 0, networks: 3 });
});
