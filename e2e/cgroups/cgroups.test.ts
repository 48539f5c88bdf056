import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { isGantryError } from '#errors/index.ts';
import { type Cgroup, type CgroupResources, openCgroups } from '#linux/index.ts';

const cgroups = openCgroups();

async function withCgroup(resources: CgroupResources, work: (cgroup: Cgroup) => Promise<void>): Promise<void> {
  const cgroup = cgroups.create(`/gantry-test-cgroups-${process.pid}`, resources);
  try {
    await work(cgroup);
  } finally {
    await cgroup.kill();
    await cgroup.remove();
  }
}

/** A shell in the cgroup; it joins before it does anything. */
function runIn(cgroup: Cgroup, script: string): ChildProcess {
  const child = spawn('sh', ['-c', `read go; ${script}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  for (const directory of cgroup.directories) writeFileSync(`${directory}/cgroup.procs`, String(child.pid));
  child.stdin?.end('\n');
  return child;
}

test('create and remove leave nothing behind', async () => {
  const cgroup = cgroups.create(`/gantry-test-gone-${process.pid}`, {});
  assert.ok(cgroup.directories.length > 0);
  for (const directory of cgroup.directories) assert.ok(existsSync(directory), directory);
  await cgroup.remove();
  for (const directory of cgroup.directories) assert.ok(!existsSync(directory), directory);
  await cgroup.remove();
});

test('a refused limit undoes everything that was made', () => {
  const path = `/gantry-test-refused-${process.pid}`;
  assert.throws(
    () => cgroups.create(path, { cpu: { cpus: '4000' } }),
    (error) => isGantryError(error) && /cpu\.cpus: 4000/.test(error.message),
  );
  for (const directory of cgroups.open(path).directories) assert.ok(!existsSync(directory), directory);
});

test('kill ends every process, also those started below', async () =>
  await withCgroup({}, async (cgroup) => {
    const child = runIn(cgroup, 'sleep 1000 & sleep 1000 & echo ready; wait');
    await once(child.stdout ?? child, 'data');
    assert.equal(cgroup.pids().length, 3);
    const exit = once(child, 'exit');
    await cgroup.kill();
    assert.deepEqual(cgroup.pids(), []);
    assert.deepEqual(await exit, [null, 'SIGKILL']);
  }));

test('ofProcess finds the cgroup that a process is in', async () =>
  await withCgroup({}, async (cgroup) => {
    const child = runIn(cgroup, 'echo ready; exec sleep 1000');
    await once(child.stdout ?? child, 'data');
    const found = cgroups.ofProcess(child.pid ?? 0);
    assert.deepEqual([...found.directories].sort(), [...cgroup.directories].sort());
    assert.deepEqual(found.pids(), [child.pid]);
    assert.throws(
      () => cgroups.ofProcess(process.pid),
      (error) => isGantryError(error) && error.code === 'no-cgroup',
    );
  }));

test('a frozen process stands still, and can be killed', async () =>
  await withCgroup({}, async (cgroup) => {
    const child = runIn(cgroup, 'while :; do :; done');
    const used = () => cgroup.stats().cpuNanoseconds;
    while (used() < 5e6) await new Promise((resolve) => setImmediate(resolve));
    await cgroup.freeze();
    const before = used();
    const until = performance.now() + 20;
    while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(used(), before);
    await cgroup.thaw();
    while (used() === before) await new Promise((resolve) => setImmediate(resolve));
    await cgroup.freeze();
    const exit = once(child, 'exit');
    await cgroup.kill();
    await exit;
  }));

test('memory: too much is killed and counted; limits go down and up again with swap', async () =>
  await withCgroup({ memory: { limit: 16 << 20, swap: 16 << 20 } }, async (cgroup) => {
    assert.equal(cgroup.stats().memoryLimitBytes, 16 << 20);
    const child = runIn(cgroup, 'exec tail /dev/zero');
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
    assert.equal(cgroup.oomKills(), 1);
    cgroup.update({ memory: { limit: 8 << 20, swap: 12 << 20 } });
    assert.equal(cgroup.stats().memoryLimitBytes, 8 << 20);
    cgroup.update({ memory: { limit: 64 << 20, swap: 128 << 20 } });
    assert.equal(cgroup.stats().memoryLimitBytes, 64 << 20);
    cgroup.update({ memory: { limit: -1, swap: -1 } });
    assert.equal(cgroup.stats().memoryLimitBytes, undefined);
  }));

test('pids: the limit stops forks', async () =>
  await withCgroup({ pids: { limit: 2 } }, async (cgroup) => {
    const child = runIn(cgroup, 'sleep 1000 & sleep 1000 & sleep 1000 & echo over; wait');
    const [code] = await once(child, 'exit');
    assert.notEqual(code, 0);
    assert.equal(cgroup.stats().pidsLimit, 2);
  }));

test('cpu: a quota holds a busy process back', async () =>
  await withCgroup({ cpu: { quota: 10_000, period: 100_000, shares: 512, cpus: '0' } }, async (cgroup) => {
    const start = performance.now();
    runIn(cgroup, 'while :; do :; done');
    while (performance.now() - start < 500) await new Promise((resolve) => setImmediate(resolve));
    const share = cgroup.stats().cpuNanoseconds / 1e6 / (performance.now() - start);
    assert.ok(share < 0.25, `used ${share} of a processor, 0.1 is allowed`);
  }));

test('devices: only what a rule allows can be opened', async () =>
  await withCgroup(
    { devices: [{ allow: false }, { allow: true, type: 'c', major: 1, minor: 3, access: 'rw' }] },
    async (cgroup) => {
      const child = runIn(cgroup, 'exec 3</dev/null && echo null; (exec 3</dev/zero) 2>&- && echo zero; exit 0');
      const [output] = await once(child.stdout ?? child, 'data');
      assert.equal(String(output), 'null\n');
    },
  ));

test('a cgroup in use cannot be made again', async () =>
  await withCgroup({}, async (cgroup) => {
    const child = runIn(cgroup, 'echo ready; exec sleep 1000');
    await once(child.stdout ?? child, 'data');
    assert.throws(
      () => cgroups.create(cgroup.path, {}),
      (error) => isGantryError(error, 'conflict'),
    );
    assert.deepEqual(cgroup.pids(), [child.pid]);
    assert.match(readFileSync(`/proc/${child.pid}/cgroup`, 'utf8'), /gantry-test-cgroups/);
  }));
