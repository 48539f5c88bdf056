import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { GantryError, messageOf } from '#errors/index.ts';
import { parseDockerfile, parseTrigger } from './parse.ts';

const samples = new URL('./testdata/', import.meta.url);

/** A parsed file without its spans, in the short form of the golden files. */
const shown = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, item) => (key === 'span' || key === 'original' ? undefined : item)));

for (const name of readdirSync(samples).filter((file) => file.endsWith('.Dockerfile'))) {
  const text = readFileSync(new URL(name, samples), 'utf8');
  const golden = new URL(name.replace('.Dockerfile', name.startsWith('bad-') ? '.txt' : '.json'), samples);
  if (name.startsWith('bad-'))
    test(`parseDockerfile refuses ${name} with a frame`, () => {
      let message = '';
      try {
        parseDockerfile(text);
      } catch (error) {
        assert.ok(error instanceof GantryError);
        message = messageOf(error);
      }
      assert.equal(`${message}\n`, readFileSync(golden, 'utf8'));
    });
  else
    test(`parseDockerfile reads ${name}`, () => {
      assert.deepEqual(shown(parseDockerfile(text)), JSON.parse(readFileSync(golden, 'utf8')));
    });
}

test('parseDockerfile keeps the places of comments, words and continued lines', () => {
  const file = parseDockerfile('# top\nFROM a\nRUN one \\\n  # between\n  two\nCOPY --chown=me \\\n  src /dst\n');
  assert.deepEqual(
    file.comments.map(({ text, span }) => [text, span.start.line, span.start.column]),
    [
      [' top', 1, 1],
      [' between', 4, 3],
    ],
  );
  const [run, copy] = file.stages[0]?.instructions ?? [];
  assert.equal(run?.original, 'RUN one   two');
  assert.deepEqual([run?.span.start.line, run?.span.end.line], [3, 5]);
  assert.ok(copy?.kind === 'COPY');
  assert.deepEqual(
    [copy.chown, copy.sources[0], copy.destination].map((word) => [word?.span.start.line, word?.span.start.column]),
    [
      [6, 14],
      [7, 3],
      [7, 7],
    ],
  );
});

test('parseTrigger takes one instruction, and none of those that make no sense there', () => {
  assert.equal(parseTrigger('RUN make', 'trigger').kind, 'RUN');
  for (const bad of ['FROM x', 'ONBUILD RUN x', 'RUN a\nRUN b', ''])
    assert.throws(() => parseTrigger(bad, 'trigger'), { kind: 'invalid' });
});

test('parseDockerfile throws nothing but a GantryError, whatever it is given', () => {
  let state = 20_260_101;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state % below;
  };
  const seeds = readdirSync(samples)
    .filter((file) => file.endsWith('.Dockerfile'))
    .map((file) => readFileSync(new URL(file, samples), 'utf8'));
  const pieces = [
    '\\\n',
    '"',
    "'",
    '<<EOF',
    '[',
    ']',
    '${',
    '}',
    '--',
    '=',
    '\n',
    '#',
    '`',
    '\0',
    '\u{1f40b}',
    ' ',
    'FROM ',
  ];
  for (let round = 0; round < 3000; round++) {
    let text = seeds[random(seeds.length)] ?? '';
    for (let edit = random(6); edit >= 0; edit--) {
      const at = random(text.length + 1);
      text = text.slice(0, at) + (pieces[random(pieces.length)] ?? '') + text.slice(at + random(12));
    }
    try {
      parseDockerfile(text);
    } catch (error) {
      assert.ok(error instanceof GantryError, `${messageOf(error)}: ${JSON.stringify(text)}`);
      assert.ok(['invalid', 'unsupported'].includes(error.kind));
    }
  }
});
