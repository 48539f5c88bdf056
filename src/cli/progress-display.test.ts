import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProgressLine } from '#client/index.ts';
import { progressBar, showProgress } from './progress-display.ts';

const lines: readonly ProgressLine[] = [
  { status: 'Pulling from ana/hello', id: 'v1' },
  { status: 'Pulling fs layer', id: 'aaaaaaaaaaaa', progressDetail: {} },
  { status: 'Pulling fs layer', id: 'bbbbbbbbbbbb', progressDetail: {} },
  { status: 'Downloading', id: 'aaaaaaaaaaaa', progressDetail: { current: 512, total: 1024 } },
  { status: 'Pull complete', id: 'aaaaaaaaaaaa', progressDetail: {} },
  { status: 'Status: Downloaded newer image for ana/hello:v1' },
];

async function shown(terminal: boolean, from: readonly ProgressLine[] = lines): Promise<string> {
  let output = '';
  async function* source() {
    yield* from;
  }
  const write = (text: string) => {
    output += text;
  };
  await showProgress(source(), { write, terminal, columns: 120 });
  return output;
}

test('showProgress prints changes of state as plain lines where there is no terminal', async () => {
  assert.equal(
    await shown(false),
    `v1: Pulling from ana/hello
aaaaaaaaaaaa: Pulling fs layer
bbbbbbbbbbbb: Pulling fs layer
aaaaaaaaaaaa: Pull complete
Status: Downloaded newer image for ana/hello:v1
`,
  );
});

test('showProgress redraws a layer\u2019s line in place on a terminal', async () => {
  const output = await shown(true);
  assert.ok(
    output.includes(
      '\x1b[2A\x1b[2K\raaaaaaaaaaaa: Downloading [=========================>                         ]     512B/1.024kB',
    ),
  );
  assert.ok(output.includes('\x1b[1A\x1b[2K\rbbbbbbbbbbbb: Pulling fs layer'));
});

test('showProgress ends with the engine\u2019s error and its code', async () => {
  const failed = [{ errorDetail: { message: 'it broke', code: 7 }, error: 'it broke' }];
  await assert.rejects(shown(false, failed), { message: 'it broke', exitCode: 7 });
});

test('progressBar knows sizes it was not told', () => {
  assert.equal(progressBar({}, 120), '');
  assert.equal(progressBar({ current: 2048 }, 120), ' 2.048kB');
  assert.equal(progressBar({ current: 2000, total: 1000 }, 80), '     2kB');
});
