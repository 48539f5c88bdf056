import assert from 'node:assert/strict';
import { createServer as createHttpServer, get } from 'node:http';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { openListeners } from './listeners.ts';

const options = { tls: undefined, group: undefined };

test('openListeners hands what connects anywhere to one server, and ends it all when disposed of', async () => {
  const http = createHttpServer((_request, response) => void response.end('here'));
  const listeners = await openListeners(
    http,
    [
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    options,
  );
  const answers = await Promise.all(
    listeners.hosts.map(
      (host) =>
        new Promise((resolve, reject) => {
          get(host.replace('tcp', 'http'), { agent: false }, (response) => {
            response.on('data', (data: Buffer) => resolve(data.toString()));
          }).once('error', reject);
        }),
    ),
  );
  assert.deepEqual(answers, ['here', 'here']);
  await listeners[Symbol.asyncDispose]();
  await assert.rejects(
    new Promise((resolve, reject) => {
      get(listeners.hosts[0]?.replace('tcp', 'http') ?? '', { agent: false }, resolve).once('error', reject);
    }),
    { code: 'ECONNREFUSED' },
  );
});

test('openListeners names the address that is taken and the group that is missing', async () => {
  const holder = createServer();
  await new Promise<void>((ready) => holder.listen(0, '127.0.0.1', ready));
  const address = holder.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await assert.rejects(openListeners(createHttpServer(), [{ kind: 'tcp', host: '127.0.0.1', port }], options), {
    kind: 'conflict',
    message: new RegExp(`tcp://127.0.0.1:${port}`),
  });
  holder.close();
  await assert.rejects(
    openListeners(createHttpServer(), [{ kind: 'unix', path: '/nonexistent/x' }], { ...options, group: 'nosuchgroup' }),
    { kind: 'invalid', message: /--group "nosuchgroup"/ },
  );
  await assert.rejects(openListeners(createHttpServer(), [{ kind: 'systemd' }], options), { message: /fd:\/\// });
});
