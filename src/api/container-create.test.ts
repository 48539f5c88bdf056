import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerOptionsOf } from './container-create.ts';

test('containerOptionsOf turns Docker\u2019s body into domain words', () => {
  const options = containerOptionsOf(
    {
      Image: 'busybox',
      Cmd: ['true'],
      Tty: true,
      HostConfig: {
        Binds: ['/srv:/data:ro', 'vol:/v', '/anonymous'],
        PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }], '53/udp': null },
        Memory: 0,
        AutoRemove: true,
      },
    },
    '/web',
  );
  assert.equal(options.name, 'web');
  assert.equal(options.memoryBytes, undefined);
  assert.equal(options.autoRemove, true);
  assert.deepEqual(options.ports, [
    { containerPort: 80, protocol: 'tcp', hostAddress: '', hostPort: 8080 },
    { containerPort: 53, protocol: 'udp', hostAddress: '', hostPort: 0 },
  ]);
  assert.deepEqual(
    options.mounts?.map((m) => [m.type, m.source, m.target, m.readOnly ?? false]),
    [
      ['bind', '/srv', '/data', true],
      ['volume', 'vol', '/v', false],
      ['volume', undefined, '/anonymous', false],
    ],
  );
});

test('containerOptionsOf refuses what is not built and what is wrong, by name', () => {
  const refused = (host: object) => () => containerOptionsOf({ Image: 'x', HostConfig: host }, undefined);
  assert.throws(refused({ RestartPolicy: { Name: 'sometimes' } }), { kind: 'invalid', message: /"sometimes"/ });
  assert.throws(refused({ RestartPolicy: { Name: 'always' }, AutoRemove: true }), { kind: 'invalid' });
  assert.throws(refused({ PidMode: 'host' }), { kind: 'unsupported' });
  assert.throws(refused({ Binds: ['/a:/b:wild'] }), { kind: 'invalid', message: /"wild"/ });
  assert.throws(refused({ PortBindings: { '70000/tcp': null } }), { kind: 'invalid' });
  assert.throws(() => containerOptionsOf({}, undefined), { kind: 'invalid' });
});
