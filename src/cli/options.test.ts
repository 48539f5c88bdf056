import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flag, integer, list, optionsHelp, parseOptions, suggestion, text, unsupported, value } from './options.ts';
import { parseBytes } from './units.ts';

const options = {
  interactive: flag('Keep STDIN open', { short: 'i' }),
  tty: flag('A terminal', { short: 't' }),
  proxy: flag('Pass signals', { initial: true }),
  publish: list('Ports', { short: 'p' }),
  memory: value('bytes', parseBytes, 'Memory limit', { short: 'm' }),
  last: integer('How many', { short: 'n' }),
  name: text('A name'),
  gpus: unsupported('GPU devices', 'gpu-request'),
};

test('parseOptions reads every spelling of a flag', () => {
  const { values, args, given } = parseOptions(options, [
    ...['-itp', '80:80', '-p=81:81', '-p82:82', '--publish', '83:83', '--publish=84:84'],
    ...['--proxy=false', '-m', '64m', '-n5', '--name=a=b', 'image'],
  ]);
  assert.equal(values.interactive && values.tty, true);
  assert.equal(values.proxy, false);
  assert.deepEqual(values.publish, ['80:80', '81:81', '82:82', '83:83', '84:84']);
  assert.equal(values.memory, 64 * 1024 * 1024);
  assert.equal(values.last, 5);
  assert.equal(values.name, 'a=b');
  assert.deepEqual(args, ['image']);
  assert.equal(given.has('proxy'), true);
});

test('parseOptions ends where the container\u2019s words begin, or at --', () => {
  assert.deepEqual(parseOptions(options, ['-i', 'image', '-t', '--nosuch'], { stopAtFirst: true }).args, [
    'image',
    '-t',
    '--nosuch',
  ]);
  assert.deepEqual(parseOptions(options, ['a', '-t', 'b', '--', '-i']).args, ['a', 'b', '-i']);
  assert.equal(parseOptions(options, ['a', '-t']).values.tty, true);
  assert.deepEqual(parseOptions(options, ['-']).args, ['-']);
});

test('parseOptions refuses by name, with 125', () => {
  const refused = (argv: readonly string[], message: RegExp) =>
    assert.throws(() => parseOptions(options, argv), { exitCode: 125, message }, argv.join(' '));
  refused(['--nosuch'], /^unknown flag: --nosuch$/);
  refused(['--nmae'], /did you mean --name\?/);
  refused(['-iZ'], /^unknown shorthand flag: 'Z' in -Z$/);
  refused(['--name'], /^flag needs an argument: --name$/);
  refused(['-m'], /^flag needs an argument: 'm' in -m$/);
  refused(['-m', 'x'], /^invalid argument "x" for "-m, --memory" flag: invalid size: 'x'$/);
  refused(['--last=1.5'], /"1.5" is not an integer/);
  refused(['--tty=maybe'], /"maybe" is neither true nor false/);
  refused(['--gpus', 'all'], /^--gpus: not supported/);
  refused(['--constructor'], /^unknown flag: --constructor$/);
});

test('optionsHelp shows every flag, and what is not built as such', () => {
  const help = optionsHelp(options);
  assert.match(help, /^ {2}-i, --interactive +Keep STDIN open$/m);
  assert.match(help, /--proxy +Pass signals \(default true\)/);
  assert.match(help, /-p, --publish list +Ports/);
  assert.match(help, /--gpus gpu-request +GPU devices \(not supported\)/);
  for (const line of optionsHelp({ long: text('word '.repeat(40).trim()) }).split('\n'))
    assert.ok(line.length <= 80, line);
});

test('suggestion finds a slip, and does not guess wildly', () => {
  assert.match(suggestion('rnu', ['run', 'rm']), /run/);
  assert.match(suggestion('imgaes', ['images', 'info']), /images/);
  assert.equal(suggestion('xyzzy', ['run', 'ps', 'images']), '');
});
