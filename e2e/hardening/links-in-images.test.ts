import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { hostileImage, probeMount } from './hostile.ts';

const corePattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');

describe('images and volumes that lay links where the runtime mounts, makes and writes', () => {
  let engine: Engine;
  /** A directory of the host at which the links aim; nothing may ever come into it. */
  let target: string;
  before(async () => {
    engine = await startEngine();
    target = mkdtempSync(join(tmpdir(), 'gantry-target-'));
  });
  after(async () => {
    assert.deepEqual(readdirSync(target), [], 'nothing was made on the host');
    assert.equal(readFileSync('/proc/sys/kernel/core_pattern', 'utf8'), corePattern);
    rmSync(target, { recursive: true });
    await engine[Symbol.asyncDispose]();
  });
  const run = (...args: string[]) => engine.gantry(['run', '--rm', ...args]);
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const refused = async (pattern: RegExp, ...args: string[]) => {
    const { code, stdout, stderr } = await run(...args);
    assert.equal(code, 125, `${args.join(' ')} ran: ${stdout}`);
    assert.match(stderr, pattern);
  };
  const volume = (name: string): string => {
    const path = `${engine.root}/${name}`;
    mkdirSync(path);
    return path;
  };

  test('CVE-2019-16884: no volume or bind stands in for /proc, so that what is written there reaches the kernel', async () => {
    const fake = volume('fake-proc');
    mkdirSync(`${fake}/self/attr`, { recursive: true });
    writeFileSync(`${fake}/self/attr/exec`, '');
    await refused(/\/proc.*EPERM/, '-v', `${fake}:/proc`, 'busybox', 'true');
    await refused(/\/proc.*EPERM/, '-v', 'empty:/proc', 'busybox', 'true');
    await refused(/\/proc\/sys.*EPERM/, '-v', `${fake}:/proc/sys`, 'busybox', 'true');
    await refused(
      /\/proc\/self\/attr.*EPERM|EPERM/,
      '-v',
      `${fake}/self/attr/exec:/proc/self/attr/exec`,
      'busybox',
      'true',
    );
    await refused(/\/proc.*EPERM/, '--tmpfs', '/proc', 'busybox', 'true');
    await hostileImage(engine, 'indirect', [{ name: 'innocent', type: 'symlink', linkName: '/proc/sys' }]);
    await refused(/\/innocent.*EPERM/, '-v', `${fake}:/innocent`, 'indirect', 'true');
    assert.deepEqual(readdirSync(`${fake}/self/attr`), ['exec']);
  });

  test('files of /proc that only tell may be stood in for, as lxcfs does', async () => {
    const files = volume('lxcfs');
    writeFileSync(`${files}/uptime`, '1.00 1.00\n');
    assert.equal(await ok('-v', `${files}/uptime:/proc/uptime`, 'busybox', 'cat', '/proc/uptime'), '1.00 1.00\n');
  });

  test('CVE-2019-19921, CVE-2023-27561: a /proc or /sys that is a link is refused, wherever it leads', async () => {
    for (const [name, linkName] of [
      ['proc', target],
      ['proc', '/shared/proc'],
      ['sys', `../../../..${target}`],
    ] as const) {
      await hostileImage(engine, 'linked', [{ name, type: 'symlink', linkName }]);
      await refused(new RegExp(`/${name}\\b.*ELOOP`), '-v', 'shared:/shared', 'linked', 'true');
    }
  });

  test('CVE-2021-30465: destinations that another container swaps for links all the time lead out for none that starts', async () => {
    const script = `mkdir -p /shared/dir; ln -sfn ${target} /shared/link; exec /probe swap /shared/dir /shared/link`;
    const attacker = ['-d', '--name', 'attacker', '-v', 'race:/shared', ...probeMount(), 'busybox', 'sh', '-c', script];
    await ok(...attacker.slice(0, 1), ...attacker.slice(1));
    const gift = volume('gift');
    writeFileSync(`${gift}/marker`, 'gift\n');
    const started = await Promise.all(
      Array.from({ length: 16 }, (_, at) =>
        run(
          ...['-v', 'race:/shared', '-v', `${gift}:/shared/dir/in${at}`, '-v', `${gift}:/shared/link/in${at}`],
          ...['busybox', 'sh', '-c', `cat /proc/self/mountinfo | grep -c ' ${target}\\| /shared\\| /\\.\\.'`],
        ),
      ),
    );
    // Where the swap came at the wrong moment a start may fail; where it did not, all mounts are inside.
    assert.ok(started.some(({ code }) => code === 0));
    for (const { code, stdout } of started) if (code === 0) assert.equal(stdout, '3\n');
    assert.deepEqual(readdirSync(target), []);
    assert.equal((await engine.gantry(['rm', '-f', 'attacker'])).code, 0);
  });

  test('CVE-2025-31133: what is masked is masked by the host’s /dev/null, whatever the container has at that name', async () => {
    const dev = volume('dev');
    symlinkSync('/proc/sys/kernel/core_pattern', `${dev}/null`);
    symlinkSync(target, `${dev}/shm`);
    const script =
      'stat -c %t:%T /proc/interrupts /proc/timer_list; (echo x > /proc/sys/kernel/core_pattern) 2>&1; cat /proc/interrupts | wc -c';
    const out = await ok('-v', `${dev}:/dev`, 'busybox', 'sh', '-c', script);
    assert.match(out, /^1:3\n1:3\n.*Read-only file system\n0\n$/);
    await hostileImage(engine, 'null', [
      { name: 'dev/', type: 'directory', mode: 0o755 },
      { name: 'dev/null', type: 'symlink', linkName: '/proc/sysrq-trigger' },
      { name: 'dev/console', type: 'symlink', linkName: '/proc/sys/kernel/core_pattern' },
    ]);
    assert.match(await ok('null', 'sh', '-c', script), /^1:3\n1:3\n.*Read-only file system\n0\n$/);
  });

  test('CVE-2025-52565: a terminal is made by the container’s own devpts; a /dev/console or ptmx that was laid out is not followed', async () => {
    await hostileImage(engine, 'console', [
      { name: 'dev/', type: 'directory', mode: 0o755 },
      { name: 'dev/console', type: 'symlink', linkName: '/proc/sys/kernel/core_pattern' },
    ]);
    const script = 'tty; stat -c %t:%T /dev/console; (echo x > /proc/sys/kernel/core_pattern) 2>&1; true';
    assert.match(
      await ok('-t', 'console', 'sh', '-c', script),
      /^\/dev\/pts\/0\r\n88:0\r\n.*Read-only file system\r\n$/,
    );
    const pts = volume('pts');
    symlinkSync('/proc/sys/kernel/core_pattern', `${pts}/ptmx`);
    await refused(/\/dev\/pts\/ptmx/, '-t', '-v', `${pts}:/dev/pts`, 'busybox', 'true');
    rmSync(`${pts}/ptmx`);
    writeFileSync(`${pts}/ptmx`, '');
    await refused(/\/dev\/pts\/ptmx.*ENOTTY/, '-t', '-v', `${pts}:/dev/pts`, 'busybox', 'true');
    const dev = volume('console-dev');
    mkdirSync(`${dev}/pts`);
    symlinkSync('/proc/sys/kernel/core_pattern', `${dev}/console`);
    await run('-t', '-v', `${dev}:/dev`, 'busybox', 'true');
    assert.deepEqual(readdirSync(dev).toSorted(), ['console', 'pts']);
  });

  test('CVE-2025-52881: sysctls and scores are written through the host’s own /proc, before anything of the container is mounted', async () => {
    const options = ['--sysctl', 'net.ipv4.ip_unprivileged_port_start=77', '--oom-score-adj', '321'];
    const script = 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/self/oom_score_adj';
    const links = volume('redirect');
    symlinkSync('/proc/sysrq-trigger', `${links}/ip_unprivileged_port_start`);
    assert.equal(await ok(...options, 'busybox', 'sh', '-c', script), '77\n321\n');
    await refused(/EPERM/, ...options, '-v', `${links}:/proc/sys/net/ipv4`, 'busybox', 'sh', '-c', script);
    await refused(/EPERM/, ...options, '-v', `${links}:/proc/self`, 'busybox', 'sh', '-c', script);
    for (const key of [
      'kernel.core_pattern',
      'net.ipv4.../../../kernel/core_pattern',
      'net/../kernel/core_pattern',
      'vm.overcommit_memory',
    ])
      await refused(/sysctl/, '--sysctl', `${key}=x`, 'busybox', 'true');
  });

  test('CVE-2026-41579: a /dev that is a link leads nowhere but into the container', async () => {
    for (const linkName of [target, `../../../..${target}`, `/proc/self/root${target}`]) {
      await hostileImage(engine, 'devlink', [{ name: 'dev', type: 'symlink', linkName }]);
      const { code, stdout } = await run('-t', 'devlink', 'sh', '-c', 'stat -c %t:%T /dev/null; ls /dev | wc -l');
      if (code === 0) assert.match(stdout, /^1:3\r\n/);
      assert.deepEqual(readdirSync(target), [], linkName);
    }
  });
});
