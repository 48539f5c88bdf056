import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, globSync, statSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { callNumber, probeMount } from './hostile.ts';

const nobody = { uid: 65534, gid: 65534, encoding: 'utf8', cwd: '/' } as const;

describe('what users of the host who are not root can reach', () => {
  let engine: Engine;
  const modes = new Map<string, number>();
  before(async () => {
    engine = await startEngine();
    const script = 'cp /probe /tmp/asroot && chmod 4755 /tmp/asroot && echo kept > /data/kept && sleep 1000';
    const args = ['run', '-d', '--name', 'box', '-e', 'SECRET=hush', '-v', 'vol:/data', ...probeMount(), 'busybox'];
    assert.equal((await engine.gantry([...args, 'sh', '-c', script])).code, 0);
    const ready = ['exec', 'box', 'sh', '-c', 'until [ -e /data/kept ]; do sleep 0.01; done'];
    assert.equal((await engine.gantry(ready)).code, 0);
    // Only the engine's own modes are in question: what is above its data root is open.
    open(engine.root, 0o755);
    open(`${engine.root}/data`, 0o755);
  });
  after(() => engine[Symbol.asyncDispose]());
  const open = (path: string, mode: number) => {
    modes.set(path, statSync(path).mode & 0o7777);
    chmodSync(path, mode);
  };
  const only = (pattern: string): string => {
    const [path] = globSync(`${engine.root}/data/${pattern}`);
    assert.ok(path !== undefined, pattern);
    return path;
  };

  test('CVE-2021-41091: a set-id program that a container has made is out of reach, though its path be known', () => {
    const program = only('overlay2/diffs/*/diff/tmp/asroot');
    // What only root may open: by errno, as the probe tells it.
    const read = () => spawnSync(program, ['call', callNumber('openat'), '-100', 's:/etc/shadow', '0'], nobody);
    assert.equal((read().error as NodeJS.ErrnoException | undefined)?.code, 'EACCES');
    open(`${engine.root}/data/overlay2`, 0o711);
    assert.equal(read().stdout, '0\n', 'with the directory open it runs as root');
    chmodSync(`${engine.root}/data/overlay2`, modes.get(`${engine.root}/data/overlay2`) ?? 0o710);
  });

  test('environments, logs, volumes and sockets are closed', () => {
    const cat = (path: string) => spawnSync('cat', [path], nobody);
    for (const path of [
      ...['gantry.db', 'gantry.db-wal', 'containers/*/*-json.log', 'volumes/vol/_data/kept', 'content/blobs/sha256/*'],
    ].map(only)) {
      const { status, stderr } = cat(path);
      assert.notEqual(status, 0, path);
      assert.match(stderr, /Permission denied/, path);
    }
    const socket = spawnSync('curl', ['-s', '--unix-socket', `${engine.root}/gantry.sock`, 'http://x/_ping'], nobody);
    assert.notEqual(socket.status, 0);
    assert.equal(socket.stdout ?? '', '');
  });
});
