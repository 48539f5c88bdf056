import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { finish, Workbench } from './workbench.ts';

test('scheduler, I/O priority and affinity are as asked', async () => {
  await using bench = new Workbench();
  const stat = async (scheduler: object) => {
    const text = await bench.shell('sleep 0; cat /proc/$$/stat', {
      process: { scheduler: { policy: 'SCHED_BATCH', ...scheduler } },
    });
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { nice: Number(fields[16]), policy: Number(fields[38]) };
  };
  assert.deepEqual(await stat({ nice: 7 }), { nice: 7, policy: 3 });
  assert.deepEqual(await stat({ policy: 'SCHED_IDLE' }), { nice: 0, policy: 5 });
  assert.equal(
    await bench.shell('ionice -p $$', { process: { ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 6 } } }),
    'best-effort: prio 6\n',
  );
  assert.equal(
    await bench.shell('ionice -p $$', { process: { ioPriority: { class: 'IOPRIO_CLASS_IDLE' } } }),
    'idle\n',
  );
});

test('a deadline is of the process alone; what cannot be is refused at create', async () => {
  await using bench = new Workbench();
  const deadline = { runtime: 1_000_000, deadline: 10_000_000, period: 10_000_000 };
  const scheduler = { policy: 'SCHED_DEADLINE', flags: ['SCHED_FLAG_RESET_ON_FORK'], ...deadline };
  const out = await bench.shell('cut -d" " -f41 /proc/$$/stat; cut -d" " -f41 /proc/self/stat; true', {
    process: { scheduler },
  });
  assert.equal(out, '6\n0\n');
  await assert.rejects(
    bench.create(['true'], {
      process: { scheduler: { policy: 'SCHED_DEADLINE', runtime: 5, deadline: 4, period: 3 } },
    }),
    { message: /setting the scheduler to SCHED_DEADLINE.*EINVAL/ },
  );
});

test('an exec runs on the processors it is given', async () => {
  await using bench = new Workbench();
  const task = await bench.create(['sleep', '60']);
  await task.start();
  let count = 0;
  const allowed = async (execCPUAffinity: object) => {
    const id = `e${count++}`;
    const exec = await task.exec({
      id,
      directory: bench.taskDirectory(id),
      process: bench.process(['grep', 'Cpus_allowed_list', '/proc/self/status'], { execCPUAffinity }),
      stdio: { terminal: false, stdin: false },
    });
    return (await finish(exec)).stdout.split('\t')[1]?.trim();
  };
  assert.equal(await allowed({ initial: '0', final: '1' }), '1');
  assert.equal(await allowed({ final: '0' }), '0');
  await assert.rejects(allowed({ final: '1-0' }), { message: /execCPUAffinity\.final "1-0"/ });
});

test('personality and memory policy are the process’s, and its children’s', async () => {
  await using bench = new Workbench();
  const out = await bench.shell('uname -m; cat /proc/self/personality; head -1 /proc/self/numa_maps', {
    linux: {
      personality: { domain: 'LINUX32', flags: ['ADDR_NO_RANDOMIZE'] },
      memoryPolicy: { mode: 'MPOL_BIND', nodes: '0', flags: ['MPOL_F_STATIC_NODES'] },
    },
  });
  const [machine, personality, bound] = out.trim().split('\n');
  assert.match(machine ?? '', /^(?:i686|armv8l)$/);
  assert.equal(personality, '00040008');
  assert.match(readFileSync('/proc/self/numa_maps', 'utf8'), /default/);
  assert.match(bound ?? '', / bind=static:0 /);
});

test('labels are refused by name where the kernel has no module for them', async () => {
  await using bench = new Workbench();
  const refused = (wish: object, message: RegExp) =>
    assert.rejects(bench.create(['true'], wish), { kind: 'unsupported', message });
  await refused(
    { process: { apparmorProfile: 'docker-default' } },
    /apparmorProfile "docker-default".*AppArmor is not/,
  );
  await refused({ process: { selinuxLabel: 'a:b:c' } }, /selinuxLabel "a:b:c".*SELinux is not/);
  await refused({ linux: { mountLabel: 'a:b:c' } }, /mountLabel "a:b:c"/);
  await refused({ linux: { intelRdt: { closID: 'x' } } }, /intelRdt/);
  assert.equal(await bench.shell('echo ok', { process: { apparmorProfile: 'unconfined' } }), 'ok\n');
});
