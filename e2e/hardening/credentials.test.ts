import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { callNumber, hostileImage, probeMount } from './hostile.ts';

process.env.GANTRY_TEST_SECRET = 'of the host';

describe('who a process is, and what it is given', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
    await engine.gantry(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
  });
  after(() => engine[Symbol.asyncDispose]());
  const gantry = (...args: string[]) => engine.gantry(args);
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await gantry(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };

  test('CVE-2022-24769: no process has inheritable capabilities, so a file capability gives nobody any', async () => {
    const status = ['cat', '/proc/self/status'];
    for (const args of [
      ['run', '--rm', 'busybox', ...status],
      ['run', '--rm', '-u', 'ana', '--cap-add', 'NET_ADMIN', 'busybox', ...status],
      ['run', '--rm', '--privileged', 'busybox', ...status],
      ['run', '--rm', '--init', 'busybox', ...status],
      ['exec', 'box', ...status],
      ['exec', '-u', 'ana', 'box', ...status],
      ['exec', '--privileged', 'box', ...status],
    ]) {
      const text = await ok(...args);
      assert.match(text, /^CapInh:\t0{16}$/m, args.join(' '));
      assert.match(text, /^CapAmb:\t0{16}$/m, args.join(' '));
    }
  });

  test('the users of a container are those that it has now', async () => {
    await ok('run', '-d', '--name', 'users', 'busybox', 'sleep', '1000');
    const change = async (...lines: string[]) => void (await ok('exec', 'users', 'sh', '-ec', lines.join('\n')));
    const is = async (uid: string) => assert.equal(await ok('exec', '-u', 'eve', 'users', 'id', '-u'), `${uid}\n`);
    assert.match((await gantry('exec', '-u', 'eve', 'users', 'true')).stderr, /unable to find user eve/);
    await change('echo eve:x:77:77::/:/bin/sh >>/etc/passwd');
    await is('77');
    for (const uid of ['78', '79', '80']) {
      await change(`sed -i s/eve:x:../eve:x:${uid}/ /etc/passwd`);
      await is(uid);
      await is(uid);
    }
    for (const uid of ['81', '82']) {
      await change('cp -a /etc/passwd /tmp/p', `sed s/eve:x:../eve:x:${uid}/ /tmp/p >/etc/passwd`); // the same inode
      await is(uid);
    }
    await change('mv /etc/passwd /users', 'ln -s ../users /etc/passwd');
    await is('82');
    await change('sed -i s/eve:x:82/eve:x:83/ /users'); // behind a link
    await is('83');
    await change('rm /etc/passwd', 'echo eve:x:84:84::/:/bin/sh >/etc/passwd');
    await is('84');
    await change('rm /etc/passwd');
    assert.match((await gantry('exec', '-u', 'eve', 'users', 'true')).stderr, /unable to find user eve/);
  });

  test('CVE-2026-30892: exec runs as the very user that was asked for; what is no user is nobody, least of all root', async () => {
    const id = (user: string) => gantry('exec', '-u', user, 'box', 'sh', '-c', 'echo $(id -u):$(id -g):$(id -G)');
    const expected = {
      '1': '1:0:0',
      '1:1': '1:1:1',
      '01': '1:0:0',
      '1000': '1000:1000:1000 50',
      'ana:50': '1000:50:50',
    };
    for (const [user, ids] of Object.entries(expected)) {
      const { code, stdout, stderr } = await id(user);
      assert.deepEqual([code, stdout.trim()], [0, ids], `${user}: ${stderr}`);
    }
    for (const user of [
      '+1',
      '-1',
      '1 ',
      ' 1',
      '0x1',
      '1e0',
      '1,1',
      '1:-1',
      '1:x',
      '4294967296',
      '18446744073709551616',
    ]) {
      const { code, stdout } = await id(user);
      assert.notEqual(code, 0, `"${user}" ran: ${stdout}`);
      assert.equal(stdout, '');
    }
  });

  test('CVE-2026-46680: an image cannot call its root by the number that was to keep it from being root', async () => {
    const passwd = 'root:x:0:0::/:\n1000:x:0:0::/:\n4294967296:x:0:0::/:\nbroken:x:none:0::/:\n';
    await hostileImage(engine, 'numbers', [{ name: 'etc/passwd', type: 'file', text: passwd }]);
    const own = await gantry('run', '--rm', '-u', '4294967296', 'numbers', 'id', '-u');
    assert.deepEqual([own.code, own.stdout], [125, '']);
    assert.equal(await ok('run', '--rm', '-u', '1000', 'numbers', 'id', '-u'), '1000\n');
    assert.equal((await gantry('run', '--rm', '-u', 'broken', 'numbers', 'id', '-u')).stdout, '');
  });

  test('CVE-2022-36109: the primary group is among the groups, so that it cannot be dropped', async () => {
    assert.match(await ok('run', '--rm', '-u', 'ana', 'busybox', 'cat', '/proc/self/status'), /^Groups:\t.*\b1000\b/m);
  });

  test('nothing of the engine’s own environment reaches a process, its first or an exec, also under an init', async () => {
    await ok('run', '-d', '--name', 'init', '--init', 'busybox', 'sleep', '1000');
    const all = [
      await ok('run', '--rm', 'busybox', 'env'),
      await ok('exec', 'box', 'sh', '-c', 'env; tr "\\0" "\\n" < /proc/1/environ'),
      await ok('exec', 'init', 'sh', '-c', 'env; tr "\\0" "\\n" < /proc/1/environ'),
    ].join('');
    assert.doesNotMatch(all, /GANTRY|of the host|DOCKER_|NODE_/);
    for (const line of all.trim().split('\n')) assert.match(line, /^(?:PATH|HOSTNAME|HOME|SHLVL|PWD|OLDPWD|TERM)=|^$/);
  });

  test('an ordinary user in a container has no capability, and gains none by a set-id program under no-new-privileges', async () => {
    assert.match(await ok('run', '--rm', '-u', '1000', 'busybox', 'cat', '/proc/self/status'), /^CapEff:\t0{16}$/m);
    // A program that is root's, and a file that is root's alone: what its user may read, by errno.
    const prepare = 'cp /probe /tmp/asroot && chmod 4755 /tmp/asroot && echo x > /tmp/secret && chmod 600 /tmp/secret';
    const read = ['/tmp/asroot', 'call', callNumber('openat'), '-100', 's:/tmp/secret', '0'];
    for (const [name, options, errno] of [
      ['setid', [], '0\n'],
      ['nnp', ['--security-opt', 'no-new-privileges'], '13\n'],
    ] as const) {
      await ok('run', '-d', '--name', name, ...probeMount(), ...options, 'busybox', 'sleep', '1000');
      await ok('exec', name, 'sh', '-c', prepare);
      assert.equal(await ok('exec', '-u', '1000', name, ...read), errno, name);
    }
  });
});
