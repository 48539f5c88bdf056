import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';

describe('gantry run', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  const run = (...args: string[]) => engine.gantry(['run', '--rm', ...args]);
  const out = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };

  test('keeps stdout and stderr apart and exits with the code of the command', async () => {
    const { code, stdout, stderr } = await run('busybox', 'sh', '-c', 'echo out; echo err >&2; exit 7');
    assert.deepEqual({ code, stdout, stderr }, { code: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  test('exits with 128 + the signal that ended the command', async () => {
    assert.equal((await run('--init', 'busybox', 'sh', '-c', 'kill -KILL $$; sleep 9')).code, 137);
    assert.equal((await run('--init', 'busybox', 'sh', '-c', 'kill -TERM $$; sleep 9')).code, 143);
  });

  test('says 127 for a command that is not in the image, 126 for one that cannot run', async () => {
    const missing = await run('busybox', 'nope');
    assert.equal(missing.code, 127);
    assert.match(missing.stderr, /"nope": executable file not found in \$PATH/);
    const directory = await run('busybox', '/etc');
    assert.equal(directory.code, 126);
    assert.match(directory.stderr, /permission denied|is a directory/i);
  });

  test('says 125 and names the value where the engine refuses', async () => {
    const image = await run('127.0.0.1:1/nobody/nothing:v9', 'true');
    assert.equal(image.code, 125);
    assert.match(image.stderr, /Unable to find image '127\.0\.0\.1:1\/nobody\/nothing:v9' locally/);
    const memory = await run('-m', '1m', 'busybox', 'true');
    assert.equal(memory.code, 125);
    assert.match(memory.stderr, /Minimum memory limit allowed is 6MB/);
    const capability = await run('--cap-add', 'FLY', 'busybox', 'true');
    assert.equal(capability.code, 125);
    assert.match(capability.stderr, /FLY/);
    const flag = await run('--no-such-flag', 'busybox', 'true');
    assert.equal(flag.code, 125);
    assert.match(flag.stderr, /--no-such-flag/);
  });

  test('hands stdin to the command and ends with it', async () => {
    const { stdout } = await engine.gantry(['run', '--rm', '-i', 'busybox', 'wc', '-c'], {
      input: 'x'.repeat(300_000),
    });
    assert.equal(stdout.trim(), '300000');
  });

  test('merges environment, directory, user, hostname and entrypoint over the image', async () => {
    const text = await out(
      ...['-e', 'A=1', '-e', 'B=two words', '-w', '/var/www/new', '-u', 'ana', '-h', 'box'],
      ...['--entrypoint', 'sh', 'busybox', '-c', 'echo $A; echo $B; pwd; id; hostname; echo $HOME'],
    );
    assert.equal(
      text,
      '1\ntwo words\n/var/www/new\nuid=1000(ana) gid=1000(ana) groups=50(staff),1000(ana)\nbox\n/home/ana\n',
    );
  });

  test('isolates: first process, own mounts, a seccomp filter, 14 capabilities and no way to the host', async () => {
    const status = await out('busybox', 'cat', '/proc/self/status');
    assert.match(status, /^NSpid:\s*\d+$|^Pid:\s*1$/m);
    assert.match(status, /^CapEff:\s*00000000a80425fb$/m);
    assert.match(status, /^CapBnd:\s*00000000a80425fb$/m);
    assert.match(status, /^CapInh:\s*0+$/m);
    assert.match(status, /^Seccomp:\s*2$/m);
    const inside = await out(
      'busybox',
      'sh',
      '-c',
      'cat /proc/self/mountinfo; ls /sys/class/net; cat /proc/kcore | wc -c',
    );
    assert.ok(!inside.includes('/old'), inside);
    assert.match(inside, /^lo$/m);
    assert.match(inside, /^eth0$/m);
    assert.match(inside, /^0$/m, 'kcore is masked');
    const refused = await run(
      'busybox',
      'sh',
      '-c',
      'mount -t tmpfs none /tmp; unshare -r true; echo x > /proc/sys/kernel/domainname',
    );
    assert.match(refused.stderr, /mount.*(denied|permitted)/i);
    assert.match(refused.stderr, /unshare.*permitted/i);
    assert.match(refused.stderr, /Read-only file system/);
  });

  test('drops and adds capabilities, sets no-new-privileges and a read-only root', async () => {
    assert.match(await out('--cap-drop', 'ALL', 'busybox', 'cat', '/proc/self/status'), /^CapBnd:\s*0{16}$/m);
    const added = await out('--cap-drop', 'ALL', '--cap-add', 'NET_ADMIN', 'busybox', 'cat', '/proc/self/status');
    assert.match(added, /^CapBnd:\s*0000000000001000$/m);
    const status = await out('--security-opt', 'no-new-privileges', 'busybox', 'cat', '/proc/self/status');
    assert.match(status, /^NoNewPrivs:\s*1$/m);
    const written = await run(
      '--read-only',
      '--tmpfs',
      '/run',
      'busybox',
      'sh',
      '-c',
      'echo x > /run/ok && echo x > /no',
    );
    assert.match(written.stderr, /\/no: Read-only file system/);
    const user = await out('-u', '1000', 'busybox', 'cat', '/proc/self/status');
    assert.match(user, /^CapEff:\s*0{16}$/m);
  });

  test('limits memory, processors and processes', async () => {
    const oom = await run(
      '-m',
      '16m',
      'busybox',
      'sh',
      '-c',
      'x=$(head -c 64000000 /dev/zero | tr "\\0" x); echo ${#x}',
    );
    assert.notEqual(oom.stdout, '64000000\n');
    const forks = await run(
      '--pids-limit',
      '8',
      'busybox',
      'sh',
      '-c',
      'for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait',
    );
    assert.match(forks.stderr, /fork/i);
    const limits = await out(
      ...['--cpus', '0.5', 'busybox', 'sh', '-c'],
      'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null || true',
    );
    assert.match(limits, /^50000/);
  });

  test('mounts host directories and volumes; a new volume takes what the image has', async () => {
    const shared = `${engine.root}/shared`;
    mkdirSync(shared);
    writeFileSync(`${shared}/in`, 'from the host\n');
    const script = 'cat /data/in; echo back > /data/out; (echo x > /ro/out) 2>&1; ls /fresh';
    const text = await out(
      ...['-v', `${shared}:/data`, '-v', `${shared}:/ro:ro`, '-v', 'vol:/fresh'],
      ...['busybox', 'sh', '-c', script.replace('/fresh', '/fresh')],
    );
    assert.match(text, /^from the host$/m);
    assert.match(text, /Read-only file system/);
    assert.equal(readFileSync(`${shared}/out`, 'utf8'), 'back\n');
    await out('-v', 'homes:/home', 'busybox', 'sh', '-c', 'echo kept > /home/ana/note');
    assert.equal(await out('-v', 'homes:/srv', 'busybox', 'cat', '/srv/ana/note'), 'kept\n');
    const missing = await run('--mount', 'type=bind,source=/no/such/place,target=/x', 'busybox', 'true');
    assert.equal(missing.code, 125);
    assert.match(missing.stderr, /bind source path does not exist: \/no\/such\/place/);
  });

  test('has no network with none, the host\u2019s own with host', async () => {
    assert.equal(await out('--network', 'none', 'busybox', 'ls', '/sys/class/net'), 'lo\n');
    assert.match(await out('--network', 'host', 'busybox', 'ls', '/sys/class/net'), /^eth0$|^lo$/m);
    const unknown = await run('--network', 'nowhere', 'busybox', 'true');
    assert.equal(unknown.code, 125);
    assert.match(unknown.stderr, /nowhere/);
  });

  test('--init reaps orphans and forwards signals', async () => {
    const script = '(sleep 0.05 & exec true); sleep 0.3; ps -o pid,stat,args';
    const processes = await out('--init', 'busybox', 'sh', '-c', script);
    assert.doesNotMatch(processes, /\bZ\b/);
    assert.match(processes, /^\s*1 .*init/m);
  });

  test('--trace prints what a start did and how long it took', async () => {
    const { stderr, stdout } = await engine.gantry(['run', '--rm', '--trace', 'busybox', 'true']);
    assert.match(stdout + stderr, /runtime\.create/);
    assert.match(stdout + stderr, /network\.reserve/);
  });

  test('leaves no container behind', async () => {
    const { stdout } = await engine.gantry(['ps', '-aq']);
    assert.equal(stdout, '');
  });
});
