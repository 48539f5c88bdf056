import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demultiplex } from './output-streams.ts';
import { parseProcessEnd, resultOf } from './process-end.ts';

const frame = (type: number, text: string) =>
  Buffer.concat([Buffer.from([type, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);

async function read(chunks: readonly Buffer[], onEnd?: (payload: string) => void): Promise<string> {
  const source = (async function* () {
    yield* chunks;
  })();
  let text = '';
  for await (const { stream, data } of demultiplex(source, onEnd)) text += `${stream}:${data} `;
  return text;
}

test('demultiplex gives the end apart from the output, however it is cut', async () => {
  const bytes = Buffer.concat([frame(1, 'out'), frame(2, 'err'), frame(4, '{"StatusCode":7}')]);
  const told: string[] = [];
  assert.equal(await read([bytes], (payload) => told.push(payload)), 'stdout:out stderr:err ');
  await read(
    [...bytes].map((byte) => Buffer.from([byte])),
    (payload) => told.push(payload),
  );
  assert.deepEqual(told, ['{"StatusCode":7}', '{"StatusCode":7}']);
});

test('demultiplex refuses the frame of an end where none is promised', async () => {
  await assert.rejects(read([frame(4, '{}')]), { kind: 'corrupt', message: /not a multiplexed stream/ });
});

test('resultOf is the code, the refusal by its kind, or that no end was told', () => {
  assert.equal(resultOf(parseProcessEnd('{"StatusCode":3}')).StatusCode, 3);
  const refused = parseProcessEnd('{"Refused":{"Status":409,"Message":"no"}}');
  assert.throws(() => resultOf(refused), { kind: 'conflict', message: 'no' });
  assert.throws(() => resultOf(refused, (error) => new Error(`so: ${error.message}`)), { message: 'so: no' });
  assert.throws(() => resultOf(undefined), { kind: 'unavailable' });
  assert.throws(() => parseProcessEnd('{'), { kind: 'corrupt' });
});
