import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LintKnowledge, lintDockerfile } from './lint.ts';
import { parseDockerfile } from './parse.ts';

/** `Rule:line` of what is found. */
const found = (text: string, knowledge: LintKnowledge = {}) =>
  lintDockerfile(parseDockerfile(text), knowledge).map(({ rule, line }) => `${rule}:${line}`);
const message = (text: string, knowledge: LintKnowledge = {}) =>
  lintDockerfile(parseDockerfile(text), knowledge)[0]?.message;

const examples: readonly (readonly [bad: string, rules: readonly string[], good: string])[] = [
  ['FROM a AS Up', ['StageNameCasing:1'], 'FROM a AS up'],
  ['FROM a as b', ['FromAsCasing:1'], 'from a as b'],
  ['FROM a\nRUN x \\\n\n  y', ['NoEmptyContinuation:3'], 'FROM a\nRUN x \\\n  y'],
  ['FROM a\nRUN x\nrun y', ['ConsistentInstructionCasing:3'], 'from a\nrun x\nrun y'],
  ['FROM a AS up\nFROM b AS up', ['DuplicateStageName:2'], 'FROM a AS up\nFROM b AS down'],
  ['FROM a AS scratch', ['ReservedStageName:1'], 'FROM a AS nothing'],
  ['FROM a\nCMD run me', ['JSONArgsRecommended:2'], 'FROM a\nSHELL ["/bin/sh", "-c"]\nCMD run me'],
  ['FROM a\nMAINTAINER me', ['MaintainerDeprecated:2'], 'FROM a\nLABEL maintainer=me'],
  ['FROM $IMAGE', ['UndefinedArgInFrom:1'], 'ARG IMAGE=a\nFROM $IMAGE'],
  ['ARG TAG\nFROM a:$TAG', ['InvalidDefaultArgInFrom:2'], 'ARG TAG\nFROM a:${TAG:-latest}'],
  ['FROM a\nWORKDIR usr', ['WorkdirRelativePath:2'], 'FROM a\nWORKDIR /usr\nWORKDIR lib'],
  ['FROM scratch\nCOPY $SRC /', ['UndefinedVar:2'], 'FROM scratch\nARG SRC\nCOPY $SRC /'],
  ['FROM a\nCMD ["a"]\nCMD ["b"]', ['MultipleInstructionsDisallowed:2'], 'FROM a\nCMD ["a"]\nFROM a\nCMD ["b"]'],
  ['FROM a\nENV NAME a value', ['LegacyKeyValueFormat:2'], 'FROM a\nENV NAME="a value"'],
  ['FROM --platform=$TARGETPLATFORM a', ['RedundantTargetPlatform:1'], 'FROM --platform=$BUILDPLATFORM a'],
  [
    'FROM --platform=linux/arm64 a',
    ['FromPlatformFlagConstDisallowed:1'],
    'FROM --platform=linux/arm64 a AS build-arm64',
  ],
  ['FROM a\nARG DB_PASSWORD', ['SecretsUsedInArgOrEnv:2'], 'FROM a\nARG DB_PASSWORDS_FILE'],
  ['FROM a\nENV API_TOKEN=x', ['SecretsUsedInArgOrEnv:2'], 'FROM a\nENV PUBLIC_KEY=x'],
  ['FROM a\nEXPOSE 80/TCP', ['ExposeProtoCasing:2'], 'FROM a\nEXPOSE 80/tcp'],
  ['FROM a\nEXPOSE 127.0.0.1:80:80', ['ExposeInvalidFormat:2'], 'FROM a\nEXPOSE 80 8000-8010'],
];

for (const [bad, rules, good] of examples)
  test(`lintDockerfile finds ${rules[0]?.split(':')[0]}, and nothing where it is done right`, () => {
    assert.deepEqual(found(bad), rules);
    assert.deepEqual(found(good), []);
  });

test('lintDockerfile knows what the base image sets and what .dockerignore hides, where it is told', () => {
  const text = 'FROM base\nENV P=$PATH:$HOME_OF\nCOPY hidden shown /';
  assert.deepEqual(found(text), []);
  const environmentOf = (reference: string) => (reference === 'base' ? ['HOME_ON'] : undefined);
  const ignores = (path: string) => path === 'hidden';
  assert.deepEqual(found(text, { environmentOf, ignores }), ['UndefinedVar:2', 'CopyIgnoredFile:3']);
  assert.equal(message(text, { environmentOf }), "Usage of undefined variable '$HOME_OF' (did you mean $HOME_ON?)");
});

test('lintDockerfile tells of a base image that is for another platform', () => {
  const foreignBaseOf = ({ image }: { readonly image: { readonly text: string } }) =>
    image.text === '0123456789ab' ? { actual: 'linux/arm64', expected: 'linux/amd64' } : undefined;
  assert.deepEqual(found('FROM a\nFROM 0123456789ab', { foreignBaseOf }), ['InvalidBaseImagePlatform:2']);
  assert.equal(
    message('FROM 0123456789ab', { foreignBaseOf }),
    'Base image 0123456789ab was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
  );
});

test('lintDockerfile looks at descriptions where the directive asks for it', () => {
  const text =
    '# about it\nARG V=1\n# other things\n\n# up is what runs\n# as it should\nFROM a AS up\n# W or so\nARG W\n# no\nARG X\n';
  assert.deepEqual(found(text), []);
  for (const rules of ['all', 'InvalidDefinitionDescription'])
    assert.deepEqual(found(`# check=experimental=${rules}\n\n${text}`), [
      'InvalidDefinitionDescription:4',
      'InvalidDefinitionDescription:13',
    ]);
});

test('lintDockerfile leaves out what the check directive skips', () => {
  assert.deepEqual(found('# check=skip=StageNameCasing,MaintainerDeprecated\nFROM a AS Up\nMAINTAINER me'), []);
  assert.deepEqual(found('# check=skip=all\nFROM a AS Up\nCMD x'), []);
  const [warning] = lintDockerfile(parseDockerfile('FROM a\nCMD x'));
  assert.equal(warning?.url, 'https://docs.docker.com/go/dockerfile/rule/json-args-recommended/');
});
