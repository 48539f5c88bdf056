import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Container, RestartPolicy } from './engine.ts';
import { restartDelayMs, startsWithDaemon } from './restart-policy.ts';

const policy = (name: RestartPolicy['name'], maximumRetryCount = 0) => ({ restartPolicy: { name, maximumRetryCount } });
const options = (more: object = {}) => ({ image: 'x', ...more });
const end = (exitCode: number, ranMs = 0) => ({
  exitCode,
  startedAt: new Date(0).toISOString(),
  finishedAt: new Date(ranMs).toISOString(),
});

test('restartDelayMs doubles from 100 ms to a minute, and begins anew after ten seconds of running', () => {
  const delay = (restartCount: number, ranMs = 0) =>
    restartDelayMs({ options: options(policy('always')), restartCount }, end(0, ranMs));
  assert.deepEqual(
    [0, 1, 2, 3, 9, 10, 30].map((count) => delay(count)),
    [100, 200, 400, 800, 51_200, 60_000, 60_000],
  );
  assert.equal(delay(30, 10_000), 100);
});

test('restartDelayMs: by policy, exit code, count, and not for what a person stopped', () => {
  const delay = (more: object, exitCode: number, restartCount = 0, stoppedByUser = false) =>
    restartDelayMs({ options: options(more), restartCount, stoppedByUser }, end(exitCode));
  assert.equal(delay({}, 1), undefined);
  assert.equal(delay(policy('no'), 1), undefined);
  assert.equal(delay(policy('on-failure'), 0), undefined);
  assert.equal(delay(policy('on-failure'), 1), 100);
  assert.equal(delay(policy('on-failure', 2), 1, 2), undefined);
  assert.equal(delay(policy('unless-stopped'), 0), 100);
  for (const name of ['always', 'unless-stopped', 'on-failure'] as const)
    assert.equal(delay(policy(name), 1, 0, true), undefined, name);
});

test('startsWithDaemon: always in any case, unless-stopped by who stopped it, what was never started never', () => {
  const exited = { status: 'exited', exitCode: 0, finishedAt: '', oomKilled: false } as const;
  const starts = (more: object, state: object = exited, stoppedByUser = false) =>
    startsWithDaemon({ options: options(more), state, stoppedByUser } as unknown as Container);
  assert.ok(starts(policy('always'), exited, true));
  assert.ok(starts(policy('unless-stopped')) && !starts(policy('unless-stopped'), exited, true));
  assert.ok(!starts(policy('on-failure')) && starts(policy('on-failure'), { ...exited, status: 'restarting' }));
  assert.ok(!starts(policy('always'), { status: 'created' }));
});
