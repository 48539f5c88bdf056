import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { createHostResolvers, serversOf } from './host-resolvers.ts';

test('createHostResolvers follows the file: written anew, replaced, and gone', () => {
  const directory = mkdtempSync(`${tmpdir()}/gantry-resolvers-`);
  try {
    const path = `${directory}/resolv.conf`;
    const servers = createHostResolvers(path);
    assert.deepEqual(servers(), []);
    writeFileSync(path, 'nameserver 192.0.2.1\n');
    assert.deepEqual(servers(), ['192.0.2.1']);
    writeFileSync(`${path}.new`, '# of the evening\nnameserver 192.0.2.2\nnameserver 2001:db8::53\n');
    renameSync(`${path}.new`, path);
    assert.deepEqual(servers(), ['192.0.2.2', '2001:db8::53']);
    rmSync(path);
    assert.deepEqual(servers(), []);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('serversOf takes addresses alone', () => {
  assert.deepEqual(
    serversOf('nameserver fe80::1%eth0\n nameserver 10.0.0.1 # x\n;nameserver 1.1.1.1\nnameserver no\n'),
    ['fe80::1%eth0', '10.0.0.1'],
  );
});
