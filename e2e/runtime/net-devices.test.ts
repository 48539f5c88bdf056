import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { Workbench } from './workbench.ts';

const device = `gtnd${process.pid % 100_000}`;
const ip = (...args: readonly string[]) => execFileSync('ip', args);

test('a device of the host moves in under its new name, with its addresses, and is up', async () => {
  await using bench = new Workbench();
  ip('link', 'add', device, 'type', 'veth', 'peer', 'name', `${device}p`);
  try {
    ip('addr', 'add', '192.0.2.7/28', 'dev', device);
    ip('addr', 'add', '2001:db8::7/64', 'dev', device);
    const out = await bench.shell('ip addr show dev inner', { linux: { netDevices: { [device]: { name: 'inner' } } } });
    assert.match(out, /inner@\S+ <[^>]*\bUP\b/);
    assert.match(out, /inet 192\.0\.2\.7\/28/);
    assert.match(out, /inet6 2001:db8::7\/64/);
  } finally {
    if (existsSync(`/sys/class/net/${device}`)) ip('link', 'delete', device);
  }
  // A pair ends with a namespace of either.
  assert.ok(!existsSync(`/sys/class/net/${device}`));
  await assert.rejects(bench.create(['true'], { linux: { netDevices: { 'gt-none': {} } } }), {
    kind: 'not-found',
    message: /netDevices gt-none: the host has no such device/,
  });
});
