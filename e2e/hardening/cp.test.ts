import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { packEntries, type TarSource } from '#tar/index.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { gantryProgram, run, until } from '../harness/program.ts';
import { hostileImage, probeMount } from './hostile.ts';

const tries = 40;

async function tarOf(entries: readonly TarSource[]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of packEntries(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const fileEntry = (name: string, text: string): TarSource => ({
  header: { name, type: 'file' },
  body: Buffer.from(text),
});

describe('copies out of and into containers that fight them', () => {
  let engine: Engine;
  /** A directory of the host that has no like in any container. */
  let host: string;
  before(async () => {
    engine = await startEngine();
    host = `${engine.root}/of-the-host`;
    mkdirSync(host);
    writeFileSync(`${host}/secret`, 'of the host\n');
  });
  after(() => engine[Symbol.asyncDispose]());
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await engine.gantry(args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const archive = (name: string, method: string, path: string, body?: Buffer) =>
    engine.api(method, `/containers/${name}/archive?path=${encodeURIComponent(path)}`, body);
  const pidOf = async (name: string) => (await ok('inspect', '-f', '{{.State.Pid}}', name)).trim();
  /** A container that runs a script and then exchanges two names for ever. */
  const swapping = async (name: string, options: string[], script: string, a: string, b: string) => {
    const command = `${script}; exec /probe swap ${a} ${b}`;
    await ok('run', '-d', '--name', name, ...probeMount(), ...options, 'busybox', 'sh', '-c', command);
    await until(async () => ((await ok('logs', name)).includes('swapping') ? true : undefined));
  };

  test('CVE-2018-15664: a directory that the container swaps for a link all the time leads cp to nothing of the host', async () => {
    const script = `mkdir -p /race/dir; echo inside > /race/dir/secret; ln -s ${host} /race/link`;
    await swapping('racer', [], script, '/race/dir', '/race/link');
    // Whoever follows the container's names from the host does reach the host.
    const naive = `/proc/${await pidOf('racer')}/root/race/dir/secret`;
    await until(() => (readFileSync(naive, 'utf8') === 'of the host\n' ? true : undefined));
    const planted = await tarOf([fileEntry('planted', 'x')]);
    const seen = new Set<number>();
    for (let at = 0; at < tries; at++) {
      const [out, into, head] = await Promise.all([
        archive('racer', 'GET', '/race/dir/secret'),
        archive('racer', 'PUT', '/race/dir', planted),
        archive('racer', 'HEAD', '/race/dir/secret'),
      ]);
      for (const { status } of [out, into, head]) seen.add(status);
      assert.ok(!out.text.includes('of the host'));
    }
    assert.ok(seen.has(200) && seen.has(404), `both sides of the race were seen: ${[...seen]}`);
    assert.deepEqual(readdirSync(host), ['secret']);
    await ok('rm', '-f', 'racer');
  });

  test('CVE-2026-41568, CVE-2026-42306: a volume’s place that is swapped for a link to the host is mounted over nothing there', async () => {
    const script = `ln -s ${host} /place/link`;
    await swapping('mover', ['-v', 'moved:/place/dir/mnt'], script, '/place/dir', '/place/link');
    const planted = await tarOf([fileEntry('planted', 'x')]);
    for (let at = 0; at < tries; at++) {
      const statuses = await Promise.all([
        archive('mover', 'PUT', '/tmp', planted),
        archive('mover', 'HEAD', '/place/dir/mnt'),
        archive('mover', 'PUT', '/place/dir/mnt', planted),
      ]);
      assert.equal(statuses[0]?.status, 200);
    }
    assert.deepEqual(readdirSync(host), ['secret']);
    assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(engine.root));
    await ok('rm', '-f', 'mover');
  });

  test('CVE-2019-14271, CVE-2026-41567: no program or library of the container is run or loaded by a cp', async () => {
    const trojan = '#!/bin/sh\necho "$0" >> /trojan-ran\n';
    const names = ['xz', 'unxz', 'unpigz', 'pigz', 'gzip', 'gunzip', 'bzip2', 'zstd', 'tar', 'docker-tar', 'getent'];
    await hostileImage(engine, 'trojans', [
      ...names.flatMap((name) =>
        ['bin', 'usr/bin', 'usr/local/sbin'].map((folder) => ({
          name: `${folder}/${name}`,
          type: 'file' as const,
          mode: 0o755,
          text: trojan,
        })),
      ),
      { name: 'etc/nsswitch.conf', type: 'file', text: 'passwd: trojan files\ngroup: trojan files\n' },
      { name: 'lib/libnss_trojan.so.2', type: 'file', mode: 0o755, text: 'not even a library' },
    ]);
    await ok('run', '-d', '--name', 'trojans', '-u', 'ana', 'trojans', 'sleep', '1000');
    const tar = await tarOf([fileEntry('note', 'hello\n')]);
    const put = (body: Buffer) => archive('trojans', 'PUT', '/tmp', body);
    assert.equal((await put(tar)).status, 200);
    const mapped = () => new Set(readFileSync(`/proc/${engine.pid()}/maps`, 'utf8').match(/\S+\.(?:so|node)\S*$/gm));
    const before = mapped();
    assert.equal((await put(gzipSync(tar))).status, 200);
    assert.equal((await put(zstdCompressSync(tar))).status, 200);
    for (const program of ['xz', 'bzip2']) {
      const { status, text } = await put(execFileSync(program, ['-c'], { input: tar }));
      assert.equal(status, 501, text);
    }
    await ok('cp', '-a', `${host}/secret`, 'trojans:/tmp/owned');
    assert.equal(await ok('exec', 'trojans', 'stat', '-c', '%U', '/tmp/owned'), 'ana\n');
    assert.deepEqual(mapped(), before);
    assert.equal((await engine.gantry(['exec', 'trojans', 'cat', '/trojan-ran'])).code, 1, 'none ran');
    await ok('exec', '-u', '0', 'trojans', 'xz');
    assert.equal(await ok('exec', 'trojans', 'cat', '/trojan-ran'), '/usr/local/sbin/xz\n', 'they would have told');
    await ok('rm', '-f', 'trojans');
  });

  test('fifos, devices and files that become them neither hold a cp up nor are read', async () => {
    const script =
      'mkdir /odd; echo inside > /odd/file; mkfifo /odd/fifo; mknod /odd/zero c 1 5; mknod /odd/disk b 254 0; mkfifo /odd/other';
    await swapping('odd', [], script, '/odd/file', '/odd/zero');
    for (const path of ['/odd/fifo', '/odd/disk', '/odd/other']) {
      const { status, text } = await archive('odd', 'GET', path);
      assert.equal(status, 200);
      assert.ok(text.length <= 4096, `${path} has no content`);
    }
    for (let at = 0; at < tries; at++) {
      const { status, text } = await archive('odd', 'GET', '/odd/file').catch(() => ({ status: 0, text: '' }));
      assert.ok(text.length <= 4096, `status ${status}: a device was read`);
    }
    await ok('rm', '-f', 'odd');
  });

  test('CVE-2026-17106: nothing that an engine or a container sends is unpacked outside of the destination', async () => {
    const target = `${host}-target`;
    mkdirSync(target);
    const entries: Record<string, readonly TarSource[]> = {
      parent: [fileEntry('dir/../../escaped', 'x')],
      absolute: [fileEntry(`${target}/escaped`, 'x')],
      unasked: [fileEntry('other/escaped', 'x')],
      link: [{ header: { name: 'dir/link', type: 'symlink', linkName: target } }, fileEntry('dir/link/escaped', 'x')],
      relative: [
        { header: { name: 'dir/link', type: 'symlink', linkName: '../../../../../../../..' } },
        fileEntry(`dir/link${target}/escaped`, 'x'),
      ],
      hardlink: [
        { header: { name: 'dir/link', type: 'symlink', linkName: target } },
        { header: { name: 'dir/hard', type: 'hardlink', linkName: 'dir/link/secret' } },
      ],
      itself: [{ header: { name: 'dir', type: 'symlink', linkName: target } }, fileEntry('dir/escaped', 'x')],
    };
    writeFileSync(`${target}/secret`, 's');
    let tar: Buffer = Buffer.alloc(0);
    const status = Buffer.from(JSON.stringify({ name: 'dir', size: 0, mode: 2 ** 31 + 0o755, linkTarget: '' }));
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'X-Docker-Container-Path-Stat': status.toString('base64') }).end(tar);
    });
    const socket = `${engine.root}/hostile.sock`;
    await new Promise<void>((ready) => server.listen(socket, ready));
    try {
      for (const [name, list] of Object.entries(entries)) {
        tar = await tarOf(list);
        const destination = `${host}-into/${name}`;
        mkdirSync(destination, { recursive: true });
        const args = ['cp', 'any:/dir', destination];
        const { code, stderr } = await run(gantryProgram, args, { env: { GANTRY_HOST: `unix://${socket}` } });
        assert.equal(code, 1, `${name}: ${stderr}`);
        assert.deepEqual(readdirSync(target), ['secret'], name);
        assert.ok(!existsSync(`${host}-into/escaped`) && !existsSync(`${engine.root}/escaped`), name);
        assert.ok(!existsSync(`${destination}/dir/hard`), name);
      }
    } finally {
      server.close();
    }
  });
});
