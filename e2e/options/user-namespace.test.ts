import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { workbench } from './workbench.ts';

/** Set in a mount namespace whose /etc/subuid and /etc/subgid are the test's own. */
const ranges = process.env.GANTRY_TEST_SUBID;

if (ranges === undefined)
  test('user namespaces, with ranges of the test\u2019s own', () => {
    const directory = mkdtempSync(`${tmpdir()}/gantry-subid-`);
    try {
      const file = `${directory}/subid`;
      writeFileSync(file, '# none\nother:1:5\ngantry:500000:140000\n');
      const script = 'mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid && exec "$2" --test "$3"';
      const { NODE_TEST_CONTEXT: _ours, ...env } = process.env;
      const { status, stdout, stderr } = spawnSync(
        'unshare',
        ['-m', 'sh', '-c', script, 'sh', file, process.execPath, import.meta.filename],
        { encoding: 'utf8', env: { ...env, GANTRY_TEST_SUBID: file } },
      );
      assert.equal(status, 0, stdout + stderr);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
else
  describe('--userns auto', () => {
    let engine: Engine;
    before(async () => {
      engine = await startEngine();
    });
    after(() => engine[Symbol.asyncDispose]());
    const { ok, inside, refused, inspect } = workbench(() => engine);

    test('root of the container is nobody on the host, and owns what the image and its volumes have', async () => {
      const script = 'id -u; cat /proc/self/uid_map; stat -c %u:%g / /etc/passwd /etc/hosts /home/ana /v; hostname';
      const flags = ['--userns', 'auto', '-v', 'data:/v', '-h', 'box'];
      assert.equal(
        (await inside(flags, `touch /made /v/made && ${script}`)).replaceAll(/ +/g, ' '),
        `0\n 0 500000 65536\n0:0\n0:0\n0:0\n0:0\n0:0\nbox\n`,
      );
      assert.equal(await inside(['-v', 'data:/v'], 'stat -c %u:%g /v/made'), '0:0\n', 'a volume is no range\u2019s');
    });

    test('two containers have ranges of their own, which come back when they are removed', async () => {
      await ok('run', '-d', '--name', 'one', '--userns', 'auto', 'busybox', 'sleep', '1000');
      await ok('run', '-d', '--name', 'two', '--userns', 'auto:size=70000', 'busybox', 'sleep', '1000');
      const owner = async (name: string) => statSync(`/proc/${(await inspect(name)).State.Pid}`).uid;
      assert.deepEqual([await owner('one'), await owner('two')], [500_000, 565_536]);
      await refused(['--userns', 'auto'], /no 65536 ids of gantry in \/etc\/subuid and \/etc\/subgid are free/);
      await ok('exec', 'one', 'sh', '-c', 'echo mine > /root/note; chown 1000:50 /root/note');
      assert.equal(await ok('exec', '-u', 'ana', 'one', 'id', '-u'), '1000\n');
      assert.match(await ok('exec', 'one', 'cat', '/proc/self/uid_map'), /^\s+0\s+500000\s+65536$/m);
      const { code, stderr } = await engine.gantry(['cp', 'one:/root/note', '-']);
      assert.deepEqual([code, /user namespace of its own.*stop it first/.test(stderr)], [1, true], stderr);
      await ok('restart', '-t', '0', 'one');
      assert.equal(
        await ok('exec', 'one', 'stat', '-c', '%u:%g', '/root/note'),
        '1000:50\n',
        'the diff keeps its owners',
      );
      await ok('rm', '-f', 'two', 'one');
      await inside(['--userns', 'auto'], 'true');
    });

    test('it has a network, its ping, and none of the host\u2019s rights', async () => {
      assert.match(await inside(['--userns', 'auto'], 'ip addr show eth0'), /inet \d/);
      const denied = 'mount -t tmpfs none /tmp; echo 1 > /proc/sys/kernel/panic; dd if=/dev/kmsg count=1';
      const { stderr } = await refused(['--userns', 'auto'], /permitted|denied/i, 'sh', '-c', `${denied}; exit 9`);
      assert.match(stderr, /Read-only file system|denied/i);
      await refused(['--userns', 'auto', '--privileged'], /privileged mode is incompatible with user namespaces/);
      await refused(
        ['--userns', 'auto', '--pid', 'host'],
        /cannot share the host PID namespace when user namespaces are enabled/,
      );
      await refused(
        ['--userns', 'auto', '--network', 'host'],
        /cannot share the host network namespace when user namespaces/,
      );
      await refused(['--userns', 'mine'], /invalid userns mode: mine; expected host, auto or auto:size=N/);
    });

    test('without a range it says what to write', async () => {
      const kept = readFileSync(ranges, 'utf8');
      writeFileSync(ranges, 'other:1:5\n');
      await refused(
        ['--userns', 'auto'],
        /neither gantry nor containers has a range in \/etc\/subuid and \/etc\/subgid; add e\.g\./,
      );
      writeFileSync(ranges, kept);
    });
  });
