import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { HookKind, Hooks } from '#oci/index.ts';
import { Workbench } from './workbench.ts';

const kinds: readonly HookKind[] = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
];

/** A hook of every kind that notes itself, its state and its namespace on the host; the fourth does so inside. */
function noting(bench: Workbench): { readonly hooks: Hooks; readonly notes: () => readonly Note[] } {
  const journal = `${bench.directory}/journal`;
  mkdirSync(journal);
  const note = (log: string) => (kind: string) =>
    `#!/bin/sh\nstate=$(cat)\necho "{\\"kind\\":\\"${kind}\\",\\"argument\\":\\"$1\\",\\"env\\":\\"$NOTE\\",\\"mount\\":\\"$(readlink /proc/self/ns/mnt)\\",\\"state\\":$state}" >> ${log}\n`;
  const hooks = Object.fromEntries(
    kinds.map((kind) => {
      const inside = kind === 'startContainer';
      const path = inside ? '/hook' : `${bench.directory}/${kind}`;
      const file = inside ? `${bench.rootfs}/hook` : path;
      writeFileSync(file, note(inside ? '/journal/log' : `${journal}/log`)(kind));
      chmodSync(file, 0o755);
      return [kind, [{ path, args: ['hook', 'argument'], env: ['NOTE=yes', 'PATH=/bin:/usr/bin'], timeout: 30 }]];
    }),
  );
  const notes = () =>
    readFileSync(`${journal}/log`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Note);
  return { hooks, notes };
}

interface Note {
  readonly kind: HookKind;
  readonly argument: string;
  readonly env: string;
  readonly mount: string;
  readonly state: { readonly status: string; readonly pid: number; readonly id: string; readonly bundle: string };
}

test('hooks of all six kinds run in the order, the namespaces and with the state of the specification', async () => {
  await using bench = new Workbench();
  const { hooks, notes } = noting(bench);
  const task = await bench.create(['sh', '-c', 'exit 0'], {
    spec: { hooks, annotations: { '"pid":': 'odd' } },
    mounts: [{ destination: '/journal', type: 'bind', source: `${bench.directory}/journal`, options: ['rbind'] }],
  });
  assert.deepEqual(
    notes().map(({ kind }) => kind),
    kinds.slice(0, 3),
  );
  const { pid } = task;
  await task.start();
  await task.wait();
  await task.delete();
  const seen = notes();
  assert.deepEqual(
    seen.map(({ kind }) => kind),
    kinds,
  );
  assert.deepEqual(
    seen.map(({ state }) => state.status),
    ['creating', 'creating', 'creating', 'created', 'running', 'stopped'],
  );
  for (const { state, argument, env } of seen) {
    assert.equal(state.id, 'c0');
    assert.equal(state.bundle, bench.taskDirectory('c0'));
    if (state.status !== 'stopped') assert.equal(state.pid, pid);
    assert.deepEqual([argument, env], ['argument', 'yes']);
  }
  const host = readlinkSync('/proc/self/ns/mnt');
  assert.deepEqual(
    seen.map(({ mount }) => mount === host),
    [true, true, false, false, true, true],
  );
});

test('a createContainer hook mounts into the root that the container gets', async () => {
  await using bench = new Workbench();
  const path = `${bench.directory}/mounts`;
  writeFileSync(
    path,
    `#!/bin/sh\nmkdir -p ${bench.rootfs}/given && mount -t tmpfs x ${bench.rootfs}/given && echo here > ${bench.rootfs}/given/file\n`,
  );
  chmodSync(path, 0o755);
  assert.equal(
    await bench.shell('cat /given/file; grep -c " /given " /proc/mounts', {
      spec: { hooks: { createContainer: [{ path, env: ['PATH=/bin:/usr/bin:/sbin'] }] } },
    }),
    'here\n1\n',
  );
});

test('hooks of a container in a user namespace find its root at the host’s path of it', async () => {
  await using bench = new Workbench();
  const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const path = `${bench.directory}/mounts`;
  writeFileSync(path, `#!/bin/sh\nid -u > ${bench.rootfs}/who\n`);
  chmodSync(path, 0o755);
  const types = ['mount', 'pid', 'ipc', 'uts', 'cgroup', 'network', 'user'] as const;
  const out = await bench.shell('cat /who; stat -c %u /who', {
    rootfs: [{ destination: '/', type: 'bind', source: bench.rootfs, uidMappings: ids, gidMappings: ids }],
    spec: { hooks: { createRuntime: [{ path, env: ['PATH=/bin:/usr/bin'] }] } },
    linux: { namespaces: types.map((type) => ({ type })), uidMappings: ids, gidMappings: ids },
  });
  assert.equal(out, '0\n0\n');
});

test('a hook that fails or takes too long fails the create, with what it said; nothing is left', async () => {
  await using bench = new Workbench();
  const script = (text: string) => [{ path: '/bin/sh', args: ['sh', '-c', text], env: ['PATH=/bin:/usr/bin'] }];
  for (const kind of ['prestart', 'createRuntime', 'createContainer'] as const)
    await assert.rejects(bench.create(['true'], { spec: { hooks: { [kind]: script('echo no luck >&2; exit 3') } } }), {
      message: new RegExp(`running the ${kind} hook /bin/sh .*exited with 3: no luck`),
    });
  await assert.rejects(bench.create(['true'], { spec: { hooks: { prestart: [{ path: '/no/such/hook' }] } } }), {
    message: /\/no\/such\/hook exited with 127: No such file/,
  });
  const slow = script('sleep 60 & sleep 60').map((hook) => ({ ...hook, timeout: 0.1 }));
  await assert.rejects(bench.create(['true'], { spec: { hooks: { createRuntime: slow } } }), {
    message: /took too long/,
  });
  assert.deepEqual(bench.leftovers(), []);
});

test('a hook that fails at the start fails it, and the process does not go on', async () => {
  await using bench = new Workbench();
  const bad = [{ path: '/bin/false' }];
  const inside = await bench.create(['sleep', '60'], { spec: { hooks: { startContainer: bad } } });
  await assert.rejects(inside.start(), { message: /startContainer hook \/bin\/false .*exited with 1/ });
  assert.equal((await inside.wait()).code, 125);
  const after = await bench.create(['sleep', '60'], { spec: { hooks: { poststart: bad } } });
  await assert.rejects(after.start(), { code: 'hook-failed', message: /poststart hook \/bin\/false: it ended with 1/ });
  assert.equal((await after.wait()).signal, 9);
});
