import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePorts } from './port-spec.ts';

test('parsePorts reads every form of -p', () => {
  const one = (spec: string) =>
    Object.entries(parsePorts([spec]).bindings).map(([port, [host]]) => [port, host?.HostIp, host?.HostPort]);
  assert.deepEqual(one('80'), [['80/tcp', '', '']]);
  assert.deepEqual(one('8080:80'), [['80/tcp', '', '8080']]);
  assert.deepEqual(one('8053:53/UDP'), [['53/udp', '', '8053']]);
  assert.deepEqual(one('127.0.0.1:8080:80'), [['80/tcp', '127.0.0.1', '8080']]);
  assert.deepEqual(one('127.0.0.1::80'), [['80/tcp', '127.0.0.1', '']]);
  assert.deepEqual(one('[::1]:8080:80'), [['80/tcp', '::1', '8080']]);
  assert.deepEqual(one('[::1]::80/tcp'), [['80/tcp', '::1', '']]);
  assert.deepEqual(one('8000-8001:90-91'), [
    ['90/tcp', '', '8000'],
    ['91/tcp', '', '8001'],
  ]);
  assert.deepEqual(one('8000-8010:80'), [['80/tcp', '', '8000-8010']]);
  assert.deepEqual(one('target=80,published=8080,protocol=udp'), [['80/udp', '', '8080']]);
});

test('parsePorts gathers bindings of one port and the exposed ones', () => {
  const { bindings, exposed } = parsePorts(['80:80', '81:80'], ['7-8/udp', '90']);
  assert.deepEqual(
    bindings['80/tcp']?.map(({ HostPort }) => HostPort),
    ['80', '81'],
  );
  assert.deepEqual(Object.keys(exposed), ['80/tcp', '7/udp', '8/udp', '90/tcp']);
});

test('parsePorts refuses and names the part that is wrong', () => {
  for (const [spec, message] of [
    ['abc', /invalid containerPort: abc/],
    ['70000', /invalid containerPort: 70000/],
    ['80:', /no port specified: 80:/],
    ['x:80', /invalid hostPort: x/],
    ['1.2.3:80:80', /invalid IP address: 1.2.3/],
    ['::1:80:80', /brackets|invalid/],
    ['80/icmp', /invalid proto: icmp/],
    ['1-3:1-2', /invalid ranges/],
    ['9-8:80', /ends before it begins/],
    ['published=80', /no target port/],
    ['target=80,colour=red', /"colour"/],
  ] as const)
    assert.throws(() => parsePorts([spec]), { kind: 'invalid', message }, spec);
});
