import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { commandsOf } from '../harness/commands.ts';
import { type Engine, startEngine } from '../harness/engine.ts';

describe('volumes and mounts, by the stock docker client', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  const { ok, refused } = commandsOf((args) => engine.docker(args));
  const sh = (flags: string[], script: string) => ok('run', '--rm', ...flags, 'busybox', 'sh', '-c', script);
  const directory = (name: string) => {
    const path = `${engine.root}/${name}`;
    mkdirSync(path, { recursive: true });
    return path;
  };

  test('volumes are made with labels and options, listed by filters, kept while in use, and pruned', async () => {
    await ok('volume', 'create', '--label', 'kind=cache', 'cache');
    assert.equal(await ok('volume', 'ls', '-q', '-f', 'label=kind=cache'), 'cache');
    await ok('create', '--name', 'holder', '-v', 'cache:/c', '-v', '/anonymous', 'busybox', 'true');
    const holder = await ok('inspect', '-f', '{{.Id}}', 'holder');
    assert.match(await refused('volume', 'rm', 'cache'), new RegExp(`volume is in use - \\[${holder}\\]`));
    assert.equal(await ok('volume', 'ls', '-q', '-f', 'dangling=true'), '');
    await ok('rm', 'holder');
    assert.match(await ok('volume', 'prune', '-f'), /Deleted Volumes:\n[0-9a-f]{64}\n/);
    assert.equal(await ok('volume', 'ls', '-q'), 'cache');
    assert.match(await ok('volume', 'prune', '-f', '-a'), /Deleted Volumes:\ncache\n/);
    assert.match(await refused('volume', 'create', '-d', 'nfs', 'x1'), /volume driver "nfs" is not known/);
    assert.match(await refused('volume', 'create', '-o', 'size=1', 'x1'), /invalid option: "size"/);
  });

  test('a tmpfs volume is one filesystem for all who use it, and is gone with the last', async () => {
    await ok('volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=size=3m,uid=1000', 'fast');
    await ok(
      'run',
      '-d',
      '--init',
      '--name',
      'one',
      '-v',
      'fast:/f',
      'busybox',
      'sh',
      '-c',
      'echo seen > /f/note; sleep 600',
    );
    assert.equal(
      await sh(['-v', 'fast:/f'], 'cat /f/note; stat -c %u /f; df -k /f | tail -1 | awk "{print \\$2}"'),
      'seen\n1000\n3072',
    );
    await engine.kill('SIGKILL');
    await engine.restart();
    assert.equal(await sh(['-v', 'fast:/f'], 'cat /f/note'), 'seen');
    await ok('rm', '-f', 'one');
    assert.equal(await sh(['-v', 'fast:/f'], 'ls /f'), '');
    await ok('volume', 'rm', 'fast');
  });

  test('a volume that binds a directory of the host is that directory', async () => {
    const path = directory('bound');
    await ok('volume', 'create', '-o', 'type=none', '-o', `device=${path}`, '-o', 'o=bind', 'bound');
    await sh(['-v', 'bound:/b'], 'echo there > /b/file');
    assert.equal(readFileSync(`${path}/file`, 'utf8'), 'there\n');
    await ok('volume', 'rm', 'bound');
    assert.ok(existsSync(`${path}/file`), 'removing the volume leaves the directory alone');
  });

  test('--mount of a volume: subpath, nocopy, read-only, labels of a new one', async () => {
    await sh(['-v', 'tree:/t'], 'mkdir -p /t/a/b && echo deep > /t/a/b/file');
    assert.equal(await sh(['--mount', 'src=tree,dst=/m,volume-subpath=a/b'], 'cat /m/file; ls /m'), 'deep\nfile');
    assert.match(
      await refused('run', '--rm', '--mount', 'src=tree,dst=/m,volume-subpath=none', 'busybox', 'true'),
      /"none"/,
    );
    assert.match(
      await refused('run', '--rm', '--mount', 'src=tree,dst=/m,volume-subpath=../x', 'busybox', 'true'),
      /stay inside/,
    );
    assert.match(await sh(['--mount', 'src=tree,dst=/m,readonly'], 'touch /m/no 2>&1 || true'), /Read-only/);
    assert.equal(await sh(['--mount', 'src=bare,dst=/home,volume-nocopy'], 'ls /home'), '');
    assert.equal(await sh(['--mount', 'src=full,dst=/home,volume-label=a=b'], 'ls /home'), 'ana');
    assert.equal(await ok('volume', 'inspect', '-f', '{{.Labels.a}}', 'full'), 'b');
    assert.equal(await sh(['-v', 'wide:/tmp'], 'stat -c %a /tmp'), '1777'); // the directory itself too
    await ok('volume', 'rm', 'tree', 'bare', 'full', 'wide');
  });

  test('a subpath cannot be steered outside by a link, nor by one that is put in its place while containers start', async () => {
    const secret = directory('outside');
    writeFileSync(`${secret}/secret`, 'not yours\n');
    await sh(['-v', 'trap:/t'], 'mkdir /t/real');
    const data = await ok('volume', 'inspect', '-f', '{{.Mountpoint}}', 'trap');
    symlinkSync(secret, `${data}/away`);
    symlinkSync('../../../../../../../../../..', `${data}/up`);
    for (const subpath of ['away', `up${secret}`]) {
      const { stdout } = await engine.docker([
        'run',
        '--rm',
        '--mount',
        `src=trap,dst=/m,volume-subpath=${subpath}`,
        'busybox',
        'ls',
        '/m',
      ]);
      assert.doesNotMatch(stdout, /secret/, subpath);
    }
    const swapping = new AbortController();
    const swap = (async () => {
      symlinkSync(secret, `${data}/link`);
      while (!swapping.signal.aborted) {
        renameSync(`${data}/real`, `${data}/kept`);
        renameSync(`${data}/link`, `${data}/real`);
        await new Promise(setImmediate);
        renameSync(`${data}/real`, `${data}/link`);
        renameSync(`${data}/kept`, `${data}/real`);
        await new Promise(setImmediate);
      }
    })();
    for (let round = 0; round < 8; round++) {
      const { stdout } = await engine.docker([
        'run',
        '--rm',
        '--mount',
        'src=trap,dst=/m,volume-subpath=real',
        'busybox',
        'ls',
        '/m',
      ]);
      assert.doesNotMatch(stdout, /secret/);
    }
    swapping.abort();
    await swap;
    await ok('volume', 'rm', 'trap');
  });

  test('--mount of a directory: recursion, propagation, read-only at the top alone', async () => {
    const outer = directory('outer');
    mkdirSync(`${outer}/inner`);
    execFileSync('mount', ['-t', 'tmpfs', 'gantry-test', `${outer}/inner`]);
    try {
      writeFileSync(`${outer}/inner/below`, '');
      const mount = (more: string) => ['--mount', `type=bind,src=${outer},dst=/m${more}`];
      assert.equal(await sh(mount(''), 'ls /m/inner'), 'below');
      assert.equal(await sh(mount(',bind-recursive=disabled'), 'ls /m/inner'), '');
      const write = 'for f in /m/top /m/inner/low; do touch $f 2>/dev/null && echo $f; done; true';
      assert.equal(await sh(mount(',readonly'), write), '');
      assert.equal(await sh(mount(',readonly,bind-recursive=writable'), write), '/m/inner/low');
      assert.equal(await sh(mount(',readonly,bind-recursive=readonly,bind-propagation=rprivate'), write), '');
    } finally {
      execFileSync('umount', [`${outer}/inner`]);
    }
    const plain = directory('plain');
    execFileSync('mount', ['-t', 'tmpfs', 'gantry-test', plain]);
    try {
      execFileSync('mount', ['--make-private', plain]);
      const shared = ['--mount', `type=bind,src=${plain},dst=/m,bind-propagation=rshared`];
      assert.match(
        await refused('run', '--rm', ...shared, 'busybox', 'true'),
        /mounted on .*plain but it is not a shared mount/,
      );
      execFileSync('mount', ['--make-shared', plain]);
      mkdirSync(`${plain}/late`);
      await ok('run', '-d', '--init', '--name', 'later', ...shared, 'busybox', 'sleep', '600');
      execFileSync('mount', ['-t', 'tmpfs', 'gantry-test', `${plain}/late`]);
      writeFileSync(`${plain}/late/after`, '');
      assert.equal(await ok('exec', 'later', 'ls', '/m/late'), 'after');
      await ok('rm', '-f', 'later');
      execFileSync('umount', [`${plain}/late`]);
    } finally {
      execFileSync('umount', ['-R', plain]);
    }
  });

  test('-v: short options, another container\u2019s volumes, tmpfs with size and mode', async () => {
    await ok('create', '--name', 'source', '-v', 'given:/data', '-v', '/made', 'busybox', 'true');
    await sh(['--volumes-from', 'source'], 'echo kept > /data/note; touch /made/it');
    assert.equal(await sh(['--volumes-from', 'source'], 'cat /data/note; ls /made'), 'kept\nit');
    assert.match(await sh(['--volumes-from', 'source:ro'], 'touch /data/no 2>&1 || true'), /Read-only/);
    await ok('rm', '-v', 'source');
    await ok('volume', 'rm', 'given');
    const tmpfs = 'type=tmpfs,dst=/t,tmpfs-size=2m,tmpfs-mode=1770';
    assert.equal(await sh(['--mount', tmpfs], 'df -k /t | tail -1 | awk "{print \\$2}"; stat -c %a /t'), '2048\n1770');
    assert.match(await refused('run', '--rm', '-v', `${engine.root}:/x:quick`, 'busybox', 'true'), /invalid mode/i);
  });

  test('an image is mounted read-only, and cannot go while it is', async () => {
    const body = {
      Image: 'busybox',
      Cmd: ['sh', '-c', 'ls /img/home; touch /img/no 2>&1'],
      HostConfig: { Mounts: [{ Type: 'image', Source: 'busybox', Target: '/img' }] },
    };
    const { body: made, text } = await engine.api('POST', '/containers/create?name=viewer', body);
    assert.match(text, /"Id"/, text);
    assert.ok(made);
    await ok('start', 'viewer');
    await ok('wait', 'viewer');
    assert.match(await ok('logs', 'viewer'), /^ana\ntouch: .*Read-only file system$/);
    await ok('rm', 'viewer');
  });

  test('idmap: what the container makes as root belongs to the owner of the directory on the host', async () => {
    const home = directory('home');
    chownSync(home, 1234, 1234);
    assert.equal(
      await sh(['-v', `${home}:/h:idmap`], 'stat -c %u:%g /h; touch /h/made; stat -c %u:%g /h/made'),
      '0:0\n0:0',
    );
    const { uid, gid } = statSync(`${home}/made`);
    assert.deepEqual([uid, gid], [1234, 1234]);
    assert.equal(
      await sh(['-u', '1000', '-v', `${home}:/h:idmap=1000`], 'touch /h/other; stat -c %u /h/other'),
      '1000',
    );
    assert.equal(statSync(`${home}/other`).uid, 1234);
    rmSync(home, { recursive: true });
  });
});
