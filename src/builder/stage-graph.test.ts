import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDockerfile } from '#dockerfile/index.ts';
import { readBuildArgs } from './build-args.ts';
import { planStages } from './stage-graph.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const plan = (text: string, target?: string, given: Record<string, string | null> = {}) => {
  const file = parseDockerfile(text);
  return planStages(file, readBuildArgs(file, given, platform, target).global, target === undefined ? {} : { target });
};

const several = `ARG BASE=debian
FROM \${BASE}:1 AS base
FROM base AS tools
RUN a
FROM scratch AS unused
COPY --from=tools /a /
FROM base AS final
COPY --from=tools /b /
COPY --from=busybox:2 /c /
`;

test('planStages takes what the target needs, and knows which layers reach the image', () => {
  const graph = plan(several);
  assert.deepEqual(
    graph.stages.map(({ stage, exported }) => [stage.name, exported]),
    [
      ['base', true],
      ['tools', false],
      ['final', true],
    ],
  );
  assert.deepEqual(
    plan(several, 'tools').stages.map(({ stage, exported }) => [stage.name, exported]),
    [
      ['base', true],
      ['tools', true],
    ],
  );
  assert.deepEqual(
    plan(several, '2').stages.map(({ stage }) => stage.name),
    ['base', 'tools', 'unused'],
  );
  const [base] = plan(several, 'base', { BASE: 'alpine' }).stages;
  assert.ok(base?.base.from === 'image');
  assert.equal(base.base.reference, 'alpine:1');
});

test('planStages says what is wrong with a name', () => {
  assert.throws(() => plan(several, 'finale'), { code: 'target-not-found', message: /did you mean final\?/ });
  assert.throws(() => plan('FROM $NONE'), { kind: 'invalid', message: /Dockerfile:1:6: base name \(\$NONE\)/ });
  assert.throws(() => plan('FROM a\nCOPY --from=0 /a /b'), { kind: 'invalid', message: /only an earlier stage/ });
  assert.throws(() => plan('FROM a AS x\nCOPY --from=x /a /b'), { kind: 'invalid', message: /copy from itself/ });
  assert.throws(() => plan('FROM a\nCOPY --from=$X /a /b'), { kind: 'invalid', message: /variable expansion/ });
});

test('readBuildArgs: given values win, global ARGs see earlier ones, unknown names are told', () => {
  const file = parseDockerfile('ARG A=1\nARG B=${A}2-$TARGETARCH\nFROM x\nARG C=3\nARG B\nARG TARGETOS');
  const args = readBuildArgs(file, { A: 'a', X: 'y', C: null, HTTP_PROXY: 'p' }, platform, undefined);
  assert.equal(args.global('B'), 'a2-amd64');
  assert.equal(args.declared('C', '3'), '3');
  assert.equal(args.declared('B', undefined), 'a2-amd64');
  assert.equal(args.declared('TARGETOS', undefined), 'linux');
  assert.equal(args.declared('D', undefined), undefined);
  assert.deepEqual(args.unconsumed, ['X']);
  assert.deepEqual([...args.proxies], [['HTTP_PROXY', 'p']]);
});
