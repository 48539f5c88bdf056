import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { after, afterEach, before, suite, test } from 'node:test';
import type { RuntimeSpec } from '#oci/index.ts';
import { type Outcome, openWorkbench, program, reasonToSkip, type Workbench, type Writable } from './workbench.ts';

const uid = 65534;
const asUser = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
const mayMake = spawnSync('setpriv', [...asUser, 'unshare', '--user', '--map-root-user', 'true']).status === 0;

suite('gantry-runtime for a user who is not root', { skip: reasonToSkip }, () => {
  let bench: Workbench;
  let home: string;
  before(() => {
    bench = openWorkbench();
    home = `${bench.home}/user`;
    chmodSync(bench.home, 0o755);
    mkdirSync(home);
    execFileSync('chown', ['-R', `${uid}:${uid}`, home, bench.bundle]);
  });
  afterEach(() => {
    for (const id of runtime('list', '--quiet').stdout.split('\n').filter(Boolean)) runtime('delete', '--force', id);
    assert.deepEqual(readdirSync(home), ['gantry-runtime']);
    assert.deepEqual(readdirSync(`${home}/gantry-runtime`), []);
  });
  after(() => bench[Symbol.dispose]());

  /** As the user, with the state below its own directory. */
  function runtime(...words: readonly string[]): Outcome {
    const [out, err] = [`${bench.home}/stdout`, `${bench.home}/stderr`];
    const stdio = ['ignore', openSync(out, 'w'), openSync(err, 'w')] as const;
    const env = { ...process.env, XDG_RUNTIME_DIR: home };
    const { status } = spawnSync('setpriv', [...asUser, program, ...words], {
      stdio: [...stdio],
      env,
      cwd: bench.bundle,
    });
    for (const fd of stdio.slice(1)) closeSync(Number(fd));
    return { status, stdout: readFileSync(out, 'utf8'), stderr: readFileSync(err, 'utf8') };
  }
  function succeed(...words: readonly string[]): string {
    const { status, stdout, stderr } = runtime(...words);
    assert.equal(status, 0, `${words.join(' ')}: ${stderr}`);
    return stdout;
  }
  function refuse(pattern: RegExp, ...words: readonly string[]): void {
    const { status, stderr } = runtime(...words);
    assert.notEqual(status, 0, `${words.join(' ')} succeeded`);
    assert.match(stderr, pattern);
  }

  /** What `spec --rootless` gives, with a script to run and changes. */
  function configure(script: string, change: (config: Writable<RuntimeSpec>) => void = () => undefined): void {
    const path = `${bench.bundle}/config.json`;
    rmSync(path, { force: true });
    succeed('spec', '--rootless');
    const config = JSON.parse(readFileSync(path, 'utf8')) as Writable<RuntimeSpec>;
    if (config.process !== undefined)
      config.process = { ...config.process, terminal: false, args: ['/bin/sh', '-c', script], env: ['PATH=/bin'] };
    change(config);
    writeFileSync(path, JSON.stringify(config));
  }

  const skip = mayMake ? false : 'users may make no user namespaces here';

  test('run of a bundle that spec --rootless made: root inside, the user outside', { skip }, () => {
    configure(
      'id -u; cat /proc/self/uid_map; hostname; echo x >/dev/null && echo y > /dev/shm/y && (echo z > /proc/sys/kernel/panic) 2>&1; exit 4',
    );
    const { status, stdout, stderr } = runtime('run', 'gtrl-run');
    assert.equal(status, 4, stderr);
    assert.match(stdout, /^0\n +0 +0 +1\ngantry\n.*panic: Read-only file system\n$/);
  });

  test('the life of a container: create, start, exec, kill, delete', { skip }, () => {
    configure('trap "exit 3" TERM; while :; do sleep 0.02; done');
    succeed('create', 'gtrl-life');
    succeed('start', 'gtrl-life');
    const { pid, status, owner } = JSON.parse(succeed('state', 'gtrl-life'));
    assert.deepEqual([status, owner], ['running', 'nobody']);
    assert.match(
      readFileSync(`/proc/${pid}/status`, 'utf8'),
      new RegExp(`^Uid:\t${uid}\t${uid}\t${uid}\t${uid}$`, 'm'),
    );
    assert.equal(succeed('exec', 'gtrl-life', 'sh', '-c', 'id -u; hostname'), '0\ngantry\n');
    assert.equal(runtime('exec', 'gtrl-life', 'sh', '-c', 'exit 9').status, 9);
    succeed('exec', '--detach', 'gtrl-life', 'sleep', '1000');
    refuse(/has no cgroup: user 65534 could make none/, 'pause', 'gtrl-life');
    succeed('kill', 'gtrl-life', 'KILL');
    succeed('delete', '--force', 'gtrl-life');
  });

  test('CVE-2019-5736: what a user runs is a sealed copy that nobody can write', { skip }, () => {
    configure('while :; do sleep 1000; done');
    succeed('create', 'gtrl-sealed');
    const { pid } = JSON.parse(succeed('state', 'gtrl-sealed'));
    assert.throws(() => openSync(`/proc/${pid}/exe`, 'r+'), { code: /ETXTBSY|EPERM|EACCES/ });
    assert.equal(readlinkSync(`/proc/${pid}/exe`), '/memfd:gantry (deleted)');
  });

  test('what takes more rights than a user has is refused by name', () => {
    configure('exit 0', (config) => {
      config.linux = {
        ...config.linux,
        namespaces: (config.linux?.namespaces ?? []).filter(({ type }) => type !== 'user'),
      };
    });
    refuse(
      /\/linux\/namespaces has no new user namespace, and user 65534 is not root; see spec --rootless/,
      'run',
      'gtrl-x',
    );
    configure('exit 0', (config) => {
      config.linux = { ...config.linux, uidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }] };
    });
    refuse(/\/linux\/uidMappings\/0 maps 65536 ids from 100000; without root only 65534 itself/, 'run', 'gtrl-x');
    configure('exit 0', (config) => {
      config.linux = { ...config.linux, resources: { memory: { limit: 64 << 20 } } };
    });
    refuse(/mkdir .*(EACCES|EROFS|EPERM)/, 'run', 'gtrl-x');
    configure('exit 0', (config) => {
      if (config.process !== undefined)
        config.process = { ...config.process, user: { uid: 0, gid: 0, additionalGids: [7] } };
    });
    refuse(/additionalGids: user 65534 is not root/, 'run', 'gtrl-x');
  });
});
