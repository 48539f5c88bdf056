import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import type { Outcome, RunOptions } from '../harness/program.ts';

const noDocker = spawnSync('docker', ['--version']).status !== 0 && 'no docker client on this machine';

describe('cp', () => {
  let engine: Engine;
  let host: string;
  before(async () => {
    engine = await startEngine();
    host = `${engine.root}/host`;
    mkdirSync(`${host}/tree/sub`, { recursive: true });
    writeFileSync(`${host}/tree/one`, 'one\n');
    writeFileSync(`${host}/tree/sub/two`, 'two\n');
    chmodSync(`${host}/tree/sub/two`, 0o750);
    linkSync(`${host}/tree/one`, `${host}/tree/same`);
    symlinkSync('one', `${host}/tree/link`);
    writeFileSync(`${host}/file`, 'file\n');
    mkdirSync(`${host}/bound`);
    await ok(['run', '-d', '--name', 'box', '-v', 'vol:/data', '-v', `${host}/bound:/ro:ro`], 'busybox sleep 1000');
  });
  after(() => engine[Symbol.asyncDispose]());

  const ok = async (args: string[], more = ''): Promise<string> => {
    const { code, stdout, stderr } = await engine.gantry([...args, ...more.split(' ').filter((word) => word !== '')]);
    assert.equal(code, 0, `gantry ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const inside = (script: string, name = 'box') => ok(['exec', name, 'sh', '-c', script]);

  type Client = (args: readonly string[], options?: RunOptions) => Promise<Outcome>;
  const clients: readonly [string, () => Client, string | false][] = [
    ['gantry', () => engine.gantry, false],
    ['the stock docker client', () => engine.docker, noDocker],
  ];
  for (const [label, client, skip] of clients) {
    const cp = async (...args: string[]) => {
      const { code, stderr } = await client()(['cp', ...args]);
      assert.equal(code, 0, `cp ${args.join(' ')}: ${stderr}`);
    };
    const refused = async (pattern: RegExp, ...args: string[]) => {
      const { code, stderr } = await client()(['cp', ...args]);
      assert.equal(code, 1, `cp ${args.join(' ')} should fail`);
      assert.match(stderr, pattern);
    };
    const place = label === 'gantry' ? 'g' : 'd';

    test(`${label}: files and directories go in by Docker's rules`, { skip }, async () => {
      const to = `/in-${place}`;
      await inside(`mkdir ${to} ${to}/there; echo old > ${to}/old`);
      await cp(`${host}/file`, `box:${to}`);
      await cp(`${host}/file`, `box:${to}/named`);
      await cp(`${host}/file`, `box:${to}/old`);
      await cp(`${host}/tree`, `box:${to}/there`);
      await cp(`${host}/tree`, `box:${to}/fresh`);
      await cp(`${host}/tree/.`, `box:${to}/there`);
      await cp(`${host}/tree/link`, `box:${to}/link`);
      await cp('-L', `${host}/tree/link`, `box:${to}/followed`);
      const listed = await inside(
        `cd ${to}; find . | sort; cat named old; readlink link; cat followed; stat -c %a fresh/sub/two; stat -c %h fresh/one`,
      );
      assert.equal(
        listed,
        [
          ...['.', './file', './followed', './fresh', './fresh/link', './fresh/one', './fresh/same', './fresh/sub'],
          ...['./fresh/sub/two', './link', './named', './old', './there', './there/link', './there/one'],
          ...['./there/same', './there/sub', './there/sub/two', './there/tree', './there/tree/link'],
          ...['./there/tree/one', './there/tree/same', './there/tree/sub', './there/tree/sub/two'],
          ...['file', 'file', 'one', 'one', '750', '2', ''],
        ].join('\n'),
      );
    });

    test(`${label}: files and directories come out by Docker's rules`, { skip }, async () => {
      const to = `${host}/out-${place}`;
      mkdirSync(`${to}/there`, { recursive: true });
      await inside(
        `rm -rf /out; mkdir -p /out/sub; cd /out; echo one > one; ln one same; ln -s one link; echo two > sub/two`,
      );
      await cp('box:/out/one', to);
      await cp('box:/out/one', `${to}/named`);
      await cp('box:/out', `${to}/there`);
      await cp('box:/out/.', `${to}/there`);
      await cp('box:/out', `${to}/fresh`);
      await cp('box:/out/link', `${to}/link`);
      await cp('-L', 'box:/out/link', `${to}/followed`);
      assert.deepEqual(readdirSync(to).toSorted(), ['followed', 'fresh', 'link', 'named', 'one', 'there']);
      assert.deepEqual(readdirSync(`${to}/there`).toSorted(), ['link', 'one', 'out', 'same', 'sub']);
      assert.equal(readFileSync(`${to}/fresh/sub/two`, 'utf8'), 'two\n');
      assert.equal(readFileSync(`${to}/followed`, 'utf8'), 'one\n');
      assert.equal(readlinkSync(`${to}/link`), 'one');
      assert.equal(statSync(`${to}/fresh/one`).ino, statSync(`${to}/fresh/same`).ino);
    });

    test(`${label}: volumes, memory filesystems and containers at rest`, { skip }, async () => {
      const [tmpfs, rest] = [`tmpfs-${place}`, `rest-${place}`];
      await cp(`${host}/file`, `box:/data/${place}`);
      assert.equal(await inside(`cat /data/${place}`), 'file\n');
      await ok(['run', '-d', '--name', tmpfs, '--tmpfs', '/scratch'], 'busybox sleep 1000');
      await cp(`${host}/file`, `${tmpfs}:/scratch/`);
      assert.equal(await inside('cat /scratch/file', tmpfs), 'file\n');
      await ok(['create', '--name', rest, '-v', `fresh-${place}:/not/there`], 'busybox sleep 1000');
      await cp(`${host}/file`, `${rest}:/not/there/file`);
      await cp(`${host}/file`, `${rest}:/tmp/`);
      await cp(`${rest}:/not/there`, `${host}/rest-${place}`);
      assert.deepEqual(readdirSync(`${host}/rest-${place}`), ['file']);
      await ok(['start', rest]);
      assert.equal(await inside('cat /not/there/file /tmp/file', rest), 'file\nfile\n');
      await ok(['rm', '-f', tmpfs, rest]);
      // A volume's first content is the image's, also where a copy comes before the first start.
      await ok(['create', '--name', rest, '-v', `homes-${place}:/home`], 'busybox sleep 1000');
      await cp(`${host}/file`, `${rest}:/home/file`);
      await ok(['start', rest]);
      assert.equal(await inside('ls /home', rest), 'ana\nfile\n');
      await ok(['rm', '-f', rest]);
    });

    test(`${label}: streams of tar on stdin and stdout`, { skip }, async () => {
      const tar = execFileSync('tar', ['-C', `${host}/tree`, '-cf', '-', '.']);
      const target = `/stream-${place}`;
      await inside(`mkdir ${target}`);
      const { code, stderr } = await client()(['cp', '-', `box:${target}`], { input: tar });
      assert.equal(code, 0, stderr);
      assert.equal(await inside(`cat ${target}/sub/two`), 'two\n');
      const gzip = execFileSync('gzip', ['-c'], { input: tar });
      await inside(`rm -r ${target}/sub`);
      assert.equal((await client()(['cp', '-', `box:${target}`], { input: gzip })).code, 0);
      assert.equal(await inside(`cat ${target}/sub/two`), 'two\n');
      const out = await client()(['cp', `box:${target}/sub`, '-']);
      assert.equal(execFileSync('tar', ['-tf', '-'], { input: out.stdout, encoding: 'utf8' }), 'sub/\nsub/two\n');
    });

    test(`${label}: what cannot be is refused, and says why`, { skip }, async () => {
      await refused(/no.such.directory/i, `${host}/file`, 'box:/nowhere/');
      await refused(/Could not find the file/, 'box:/etc/nothing', host);
      await refused(/marked read-only/, `${host}/file`, 'box:/ro/x');
      await refused(/copy directory|not a directory/i, `${host}/tree`, 'box:/etc/passwd');
      await refused(/No such container/, `${host}/file`, 'nobody:/tmp');
      await refused(/no such file/, `${host}/nothing`, 'box:/tmp');
      await refused(/must specify at least one container/, `${host}/file`, `${host}/x`);
      await refused(/copying between containers/, 'box:/etc/passwd', 'box:/tmp');
      await inside(`mkdir -p /kinds/tree; echo x > /kinds/file`);
      mkdirSync(`${host}/kinds-${place}/file`, { recursive: true });
      await refused(/cannot overwrite non-directory .* with directory/, `${host}/kinds-${place}/.`, 'box:/kinds');
      await ok(['run', '-d', '--read-only', '--name', `sealed-${place}`], 'busybox sleep 1000');
      await refused(/container rootfs is marked read-only/, `${host}/file`, `sealed-${place}:/x`);
      await ok(['rm', '-f', `sealed-${place}`]);
    });
  }

  test('gantry: a part of a volume is what a container has there', async () => {
    const part = 'type=volume,source=parts,target=/part,volume-subpath=one';
    await ok(['run', '--rm', '-v', 'parts:/all'], 'busybox mkdir /all/one /all/two');
    for (const start of [true, false]) {
      await ok([...(start ? ['run', '-d'] : ['create']), '--name', 'part', '--mount', part], 'busybox sleep 1000');
      await ok(['cp', `${host}/file`, 'part:/part/file']);
      await ok(['rm', '-f', 'part']);
      assert.equal(await ok(['run', '--rm', '-v', 'parts:/all'], 'busybox ls /all/one'), 'file\n');
      await ok(['run', '--rm', '-v', 'parts:/all'], 'busybox rm /all/one/file');
    }
  });

  test('gantry: owners with -a; set-id bits never come out unasked', async () => {
    await ok(['run', '-d', '--name', 'ana', '-u', 'ana'], 'busybox sleep 1000');
    await ok(['cp', '-a', `${host}/file`, 'ana:/tmp/ana']);
    await ok(['cp', `${host}/file`, 'ana:/tmp/plain']);
    assert.equal(await inside('stat -c %u /tmp/ana /tmp/plain', 'ana'), '1000\n0\n');
    await inside('cp /bin/busybox /tmp/suid; chown 1000 /tmp/suid; chmod 6755 /tmp/suid');
    await ok(['cp', 'box:/tmp/suid', `${host}/suid`]);
    assert.deepEqual([lstatSync(`${host}/suid`).mode & 0o7777, lstatSync(`${host}/suid`).uid], [0o755, 0]);
    await ok(['cp', '-a', 'box:/tmp/suid', `${host}/suid-kept`]);
    assert.deepEqual(
      [lstatSync(`${host}/suid-kept`).mode & 0o7777, lstatSync(`${host}/suid-kept`).uid],
      [0o6755, 1000],
    );
  });

  test('gantry: no command puts a file in the place of a device; links lead to what is written', async () => {
    const device = `${host}/device`;
    execFileSync('mknod', [device, 'c', '1', '3']);
    symlinkSync(device, `${host}/to-device`);
    for (const args of [
      ['save', '-o', device, 'busybox'],
      ['export', '-o', device, 'box'],
      ['export', '-o', `${host}/to-device`, 'box'],
      ['cp', 'box:/etc/passwd', device],
      ['run', '--rm', '--cidfile', device, 'busybox', 'true'],
    ]) {
      const { code, stderr } = await engine.gantry(args);
      assert.notEqual(code, 0, args.join(' '));
      assert.match(stderr, /cannot write to a character device|it is a device|container ID file found/, args.join(' '));
      assert.ok(lstatSync(device).isCharacterDevice(), args.join(' '));
    }
    writeFileSync(`${host}/archive`, '');
    symlinkSync('archive', `${host}/to-archive`);
    await ok(['save', '-o', `${host}/to-archive`, 'busybox']);
    assert.ok(lstatSync(`${host}/to-archive`).isSymbolicLink() && statSync(`${host}/archive`).size > 0);
  });

  test('the archive call tells what a path is', async () => {
    await inside('ln -s /etc/passwd /tmp/to-passwd; ln -s nowhere /tmp/dangling');
    const head = (path: string) => engine.api('HEAD', `/v1.44/containers/box/archive?path=${encodeURIComponent(path)}`);
    assert.equal((await head('/tmp/to-passwd')).status, 200);
    assert.equal((await head('/nothing')).status, 404);
    assert.equal((await head('')).status, 400);
    const { status, body } = await engine.api('PUT', '/containers/box/archive?path=/etc/passwd', Buffer.alloc(1024));
    assert.equal(status, 400);
    assert.match((body as { message: string }).message, /not a directory/);
  });
});
