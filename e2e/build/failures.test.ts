import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { openWorkbench, type Workbench } from './workbench.ts';

let bench: Workbench;
before(async () => {
  bench = await openWorkbench();
});
after(() => bench[Symbol.asyncDispose]());

const build = (Dockerfile: string, options: Parameters<Workbench['build']>[1] = {}) =>
  bench.build({ Dockerfile }, options);

test('a bad line is shown with its place and what was meant', async () => {
  await assert.rejects(build('FROM busybox\nCPOY a b\n'), {
    kind: 'invalid',
    code: 'dockerfile-invalid',
    message: `Dockerfile:2:1: unknown instruction "CPOY"; did you mean COPY?
  1 | FROM busybox
> 2 | CPOY a b
    | ^^^^`,
  });
  await assert.rejects(build('FROM busybox\nENV A=${B\n'), { message: /Dockerfile:2:7: .*no closing }/ });
  await assert.rejects(build('FROM busybox\nRUN --mount=type=cache,traget=/c true\n'), {
    kind: 'invalid',
    message: /Dockerfile:2:13: unexpected option "traget" for a mount of type cache; did you mean target\?/,
  });
  await assert.rejects(build('# syntax=other/frontend\nFROM busybox\n'), { kind: 'unsupported' });
  await assert.rejects(build('FROM --platform=windows/amd64 busybox\n'), {
    kind: 'unsupported',
    message: /Dockerfile:1:17: platform "windows\/amd64"/,
  });
  await assert.rejects(build('FROM busybox', { networkMode: 'container:x' }), { kind: 'unsupported' });
  await assert.rejects(build('FROM busybox', { target: 'none' }), { code: 'target-not-found' });
  await assert.rejects(build('FROM busybox', { tags: ['Upper/Case'] }), { code: 'reference-invalid' });
  assert.deepEqual(await bench.leftovers(), []);
});

test('a failing RUN says its command and code, and nothing of it stays', async () => {
  await assert.rejects(build('FROM busybox\nRUN echo before\nRUN echo loud; echo err >&2; exit 7\n'), {
    kind: 'invalid',
    code: 'step-failed',
    message: "The command '/bin/sh -c echo loud; echo err >&2; exit 7' returned a non-zero code: 7",
  });
  assert.match(bench.output, /loud\n/);
  assert.match(bench.output, /err\n/);
  assert.deepEqual(await bench.leftovers(), []);
  // What came before the failure is kept.
  const { ran } = await build('FROM busybox\nRUN echo before\nRUN true\n');
  assert.deepEqual(ran, ['/bin/sh -c true']);
});

test('a failing stage stops the others at once and is heard', async () => {
  const stages = `FROM busybox AS slow
RUN sleep 60
FROM busybox AS bad
RUN echo heard; exit 3
FROM scratch
COPY --from=slow /a /
COPY --from=bad /b /
`;
  await assert.rejects(build(stages), { code: 'step-failed', message: /code: 3/ });
  assert.match(bench.output, /heard\n/);
  assert.deepEqual(await bench.leftovers(), []);
});

test('cancelling stops the step that runs and cleans everything', async () => {
  const controller = new AbortController();
  const onText = (text: string) => {
    if (text.startsWith('started')) controller.abort();
  };
  await assert.rejects(build('FROM busybox\nRUN echo started; sleep 60\n', { signal: controller.signal, onText }), {
    kind: 'cancelled',
  });
  assert.deepEqual(await bench.leftovers(), []);
});

test('a context that is no tar, breaks off or never ends', async () => {
  const context = (source: Readable, signal?: AbortSignal) =>
    bench.build({}, { context: source, ...(signal === undefined ? {} : { signal }) });
  await assert.rejects(context(Readable.from([])), { kind: 'invalid', message: /context is empty/ });
  await assert.rejects(context(Readable.from([Buffer.from('no tar at all'.repeat(100))])), { kind: 'corrupt' });
  await assert.rejects(context(Readable.from([Buffer.from('1f8b08000102030405060708', 'hex')])), { kind: 'corrupt' });
  const controller = new AbortController();
  const endless = new Readable({ read: () => undefined });
  endless.push(Buffer.alloc(100));
  const waiting = context(endless, controller.signal);
  setImmediate(() => controller.abort());
  await assert.rejects(waiting, { kind: 'cancelled' });
  assert.deepEqual(await bench.leftovers(), []);
});
