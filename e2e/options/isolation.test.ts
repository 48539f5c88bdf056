import assert from 'node:assert/strict';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { workbench } from './workbench.ts';

describe('how containers are kept apart', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  const { ok, inside, refused, inspect, docker } = workbench(() => engine);
  const namespace = (type: string) => `readlink /proc/self/ns/${type}`;

  test('the host\u2019s pid, ipc, uts and cgroup namespaces, where they are asked for', async () => {
    const own = Object.fromEntries(['pid', 'ipc', 'uts', 'cgroup'].map((t) => [t, readlinkSync(`/proc/self/ns/${t}`)]));
    for (const [flag, type] of [
      ['--pid', 'pid'],
      ['--ipc', 'ipc'],
      ['--uts', 'uts'],
      ['--cgroupns', 'cgroup'],
    ] as const) {
      assert.equal((await inside([flag, 'host'], namespace(type))).trim(), own[type], `${flag} host`);
      assert.notEqual((await inside([], namespace(type))).trim(), own[type], 'its own otherwise');
    }
    assert.equal(await inside(['--uts', 'host'], 'hostname'), `${hostname()}\n`);
    await refused(['--uts', 'host', '-h', 'box'], /conflicting options: hostname and the UTS mode/);
    await refused(['--pid', 'mine'], /invalid PID mode: mine/);
    await refused(['--ipc', 'mine'], /invalid IPC mode: mine/);
    await refused(['--ipc', 'none'], /No such file or directory/, 'ls', '/dev/shm');
  });

  test('another container\u2019s namespaces; only a shareable ipc namespace, and only while it runs', async () => {
    await ok('run', '-d', '--name', 'donor', '--ipc', 'shareable', 'busybox', 'sleep', '1000');
    const { State, Id } = await inspect('donor');
    for (const [flag, type] of [
      ['--pid', 'pid'],
      ['--ipc', 'ipc'],
      ['--uts', 'uts'],
      ['--cgroupns', 'cgroup'],
    ] as const)
      assert.equal(
        (await inside([flag, 'container:donor'], namespace(type))).trim(),
        readlinkSync(`/proc/${State.Pid}/ns/${type}`),
        `${flag} container:donor`,
      );
    assert.match(await inside(['--pid', 'container:donor'], 'ps'), /sleep 1000/);
    assert.equal(
      await docker('run', '--rm', '--uts', 'host', '--pid', 'container:donor', 'busybox', 'cat', '/proc/1/comm'),
      'sleep\n',
    );
    await ok('exec', 'donor', 'sh', '-c', 'echo through > /dev/shm/note');
    assert.equal(
      await inside(['--ipc', 'container:donor'], 'cat /dev/shm/note; echo back > /dev/shm/answer'),
      'through\n',
    );
    assert.equal(await ok('exec', 'donor', 'cat', '/dev/shm/answer'), 'back\n');
    assert.equal(await inside(['-d', '--name', 'alone'], 'sleep 1000').then(() => ''), '');
    await refused(
      ['--ipc', 'container:alone'],
      /non-shareable IPC \(hint: use IpcMode:shareable for the donor container\)/,
    );
    await ok('rm', '-f', 'alone');
    await ok('stop', '-t', '0', 'donor');
    await refused(['--pid', 'container:donor'], new RegExp(`cannot join PID of a non running container: ${Id}`));
    await refused(['--pid', 'container:nosuch'], /No such container: nosuch/);
    await ok('rm', 'donor');
  });

  test('capabilities, no-new-privileges, and what AppArmor and SELinux would do', async () => {
    const effective = /^CapEff:\s*(\S+)$/m;
    const caps = async (...flags: string[]) =>
      BigInt(`0x${effective.exec(await inside(flags, 'cat /proc/self/status'))?.[1]}`);
    assert.equal(await caps('--cap-drop', 'ALL', '--cap-add', 'CAP_SYS_PTRACE'), 1n << 19n);
    const own = BigInt(`0x${effective.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`);
    assert.equal(await caps('--cap-add', 'ALL'), own, 'all that the engine has');
    assert.match(
      await inside(['--security-opt', 'no-new-privileges=true'], 'cat /proc/self/status'),
      /^NoNewPrivs:\s*1$/m,
    );
    await refused(['--security-opt', 'nonsense=1'], /invalid --security-opt "nonsense=1"/);
    await refused(['--cap-add', 'FLY'], /unknown capability: "FLY"/);
    assert.equal(
      await inside(['--security-opt', 'apparmor=unconfined', '--security-opt', 'label=disable'], 'echo ran'),
      'ran\n',
    );
  });

  test('seccomp: unconfined, and a profile of one\u2019s own, with the conditions that Docker\u2019s have', async () => {
    const mode = async (...flags: string[]) =>
      /^Seccomp:\s*(\d)$/m.exec(await inside(flags, 'cat /proc/self/status'))?.[1];
    assert.equal(await mode(), '2');
    assert.equal(await mode('--security-opt', 'seccomp=unconfined'), '0');
    const profile = `${engine.root}/profile.json`;
    const rules = [
      { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 17, comment: 'x', includes: {}, excludes: {} },
      { names: ['chmod', 'fchmodat', 'fchmodat2'], action: 'SCMP_ACT_ERRNO', excludes: { caps: ['CAP_NET_ADMIN'] } },
    ];
    writeFileSync(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', archMap: null, syscalls: rules }));
    const flags = ['--security-opt', `seccomp=${profile}`];
    const script = 'mkdir /tmp/a 2>&1; touch /tmp/f; chmod 600 /tmp/f 2>&1 && echo changed; true';
    assert.match(await inside(flags, script), /File exists[\s\S]*not permitted/);
    assert.match(await inside([...flags, '--cap-add', 'NET_ADMIN'], script), /File exists\nchanged/);
    assert.match(
      await docker('run', '--rm', ...flags, 'busybox', 'sh', '-c', script),
      /File exists[\s\S]*not permitted/,
    );
    await refused(['--security-opt', 'seccomp=/no/such/file'], /opening seccomp profile \(\/no\/such\/file\) failed/);
    writeFileSync(profile, '{"defaultAction":"SCMP_ACT_FLY"}');
    await refused(flags, /"SCMP_ACT_FLY" is not a seccomp action/);
  });

  test('systempaths=unconfined shows what is hidden; sysctls of own namespaces only', async () => {
    const hidden = 'mount | grep -c "on /proc/.* (ro"; head -c1 /proc/kcore | wc -c';
    assert.match(await inside([], hidden), /\n0\n$/);
    const shown = await inside(['--security-opt', 'systempaths=unconfined'], 'mount | grep -c " on /proc/"; true');
    assert.equal(shown, '0\n');
    const sysctls = [
      '--sysctl',
      'net.core.somaxconn=77',
      '--sysctl',
      'kernel.msgmax=9000',
      '--sysctl',
      'fs.mqueue.msg_max=12',
    ];
    const script = 'cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max';
    assert.equal(await inside(sysctls, script), '77\n9000\n12\n');
    await refused(['--sysctl', 'vm.swappiness=1'], /sysctl 'vm\.swappiness=1' is not allowed/);
    await refused(
      ['--sysctl', 'net.core.somaxconn=7', '--network', 'host'],
      /'net\.core\.somaxconn' is not allowed with this network mode/,
    );
    await refused(
      ['--sysctl', 'kernel.msgmax=9', '--ipc', 'host'],
      /'kernel\.msgmax' is not allowed with this ipc mode/,
    );
  });

  test('devices: a node under another name, its permissions, rules, and none that are not there', async () => {
    const script = 'stat -c "%t:%T" /dev/other; head -c4 /dev/other | wc -c; (echo x > /dev/other) 2>&1; true';
    assert.equal(await inside(['--device', '/dev/zero:/dev/other'], script), '1:5\n4\n');
    const kmsg = ['--device', '/dev/kmsg:/dev/log:r'];
    assert.match(
      await inside(kmsg, 'stat -c "%t:%T" /dev/log; (echo x > /dev/log) 2>&1; true'),
      /^1:b\n.*not permitted/,
    );
    const loop = 'mknod /tmp/l b 7 0 && (head -c1 /tmp/l >/dev/null) 2>&1 && echo opened; true';
    assert.match(await inside([], loop), /not permitted/);
    assert.match(await inside(['--device-cgroup-rule', 'b 7:* rmw'], loop), /opened/);
    assert.match(await inside(['--device', '/dev/net'], 'ls /dev/net'), /tun/);
    await refused(
      ['--device', '/dev/gone'],
      /error gathering device information while adding custom device "\/dev\/gone": no such file/,
    );
    await refused(['--device', '/etc/passwd'], /"\/etc\/passwd": not a device node/);
    await refused(['--device-cgroup-rule', 'd 7:0 r'], /invalid device cgroup format 'd 7:0 r'/);
    await refused(['--gpus', 'all'], /could not select device driver "" with capabilities: \[\[gpu\]\]/);
    const theirs = await engine.docker(['run', '--rm', '--gpus', 'all', 'busybox']);
    assert.match(theirs.stderr, /could not select device driver "" with capabilities: \[\[gpu\]\]/);
  });

  test('--privileged: every capability, every device, nothing masked or filtered, cgroups that can be written', async () => {
    const script = `cat /proc/self/status; ls /dev; mount | grep " on /proc/" ; mkdir $(ls -d /sys/fs/cgroup/memory /sys/fs/cgroup | head -1)/x && echo made;
      mount -t tmpfs none /tmp && echo mounted`;
    const text = await inside(['--privileged'], script);
    const own = /^CapEff:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    assert.match(text, new RegExp(`^CapEff:\\s*${own}$`, 'm'));
    assert.match(text, /^Seccomp:\s*0$/m);
    assert.match(text, /^kmsg$/m);
    assert.doesNotMatch(text, / on \/proc\//);
    assert.match(text, /^made$/m);
    assert.match(text, /^mounted$/m);
    assert.match(await docker('run', '--rm', '--privileged', 'busybox', 'ls', '/dev'), /^kmsg$/m);
  });

  test('tmpfs takes mount options, and mounts over /dev/shm', async () => {
    const mounts = await inside(
      ['--tmpfs', '/scratch:rw,exec,size=2m,mode=700,uid=7', '--tmpfs', '/dev/shm:size=1m'],
      'mount; stat -c %a:%u /scratch; df -k /dev/shm',
    );
    assert.match(mounts, /on \/scratch type tmpfs \((?!.*noexec).*size=2048k/);
    assert.match(mounts, /^700:7$/m);
    assert.match(mounts, /\s1024\s/);
  });

  test('exec: user, groups, directory, environment and file of it, --privileged, the container\u2019s ulimits', async () => {
    await ok(
      'run',
      '-d',
      '--name',
      'box',
      '--cap-drop',
      'ALL',
      '--group-add',
      'staff',
      '--ulimit',
      'nofile=77',
      '-e',
      'A=1',
      'busybox',
      'sleep',
      '1000',
    );
    const file = `${engine.root}/env`;
    writeFileSync(file, '# one\nC=from file\n');
    const script = 'id; pwd; echo $A $B "$C"; ulimit -n';
    assert.equal(
      await ok('exec', '-u', 'ana', '-w', '/tmp', '-e', 'B=2', '--env-file', file, 'box', 'sh', '-c', script),
      'uid=1000(ana) gid=1000(ana) groups=50(staff),1000(ana)\n/tmp\n1 2 from file\n77\n',
    );
    const status = (...flags: string[]) => ok('exec', ...flags, 'box', 'cat', '/proc/self/status');
    assert.match(await status(), /^CapEff:\s*0+$/m);
    const own = /^CapEff:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    assert.match(await status('--privileged'), new RegExp(`^CapEff:\\s*${own}$`, 'm'));
    assert.match(
      await docker('exec', '--privileged', '-u', '0', 'box', 'cat', '/proc/self/status'),
      new RegExp(`^CapEff:\\s*${own}$`, 'm'),
    );
    const wrong = await engine.gantry(['exec', '-w', 'tmp', 'box', 'true']);
    assert.match(wrong.stderr, /working directory 'tmp' is invalid, it needs to be an absolute path/);
    assert.match((await engine.gantry(['exec', '-u', 'eve', 'box', 'true'])).stderr, /unable to find user eve/);
    await ok('rm', '-f', 'box');
  });
});
