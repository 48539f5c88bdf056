import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ago,
  binarySize,
  humanDuration,
  humanSize,
  localRfc3339,
  parseBytes,
  parseDuration,
  parseTime,
} from './units.ts';

test('humanSize and binarySize print what docker/go-units prints', () => {
  for (const [bytes, shown] of [
    [0, '0B'],
    [999, '999B'],
    [1000, '1kB'],
    [1024, '1.02kB'],
    [4_262_117, '4.26MB'],
    [62_000_000, '62MB'],
    [999_900, '1e+03kB'], // three digits run out: Docker's own quirk
    [1_500_000_000, '1.5GB'],
  ] as const)
    assert.equal(humanSize(bytes, 3), shown);
  assert.equal(humanSize(4_262_117), '4.262MB');
  assert.equal(binarySize(25_276_055_552), '23.54GiB');
  assert.equal(binarySize(512), '512B');
});

test('humanDuration says it as Docker does', () => {
  const hour = 3600;
  const day = 24 * hour;
  for (const [seconds, shown] of [
    [0.4, 'Less than a second'],
    [1.9, '1 second'],
    [59, '59 seconds'],
    [60, 'About a minute'],
    [185, '3 minutes'],
    [46 * 60, '46 minutes'],
    [hour, 'About an hour'],
    [1.4 * hour, 'About an hour'],
    [1.6 * hour, '2 hours'],
    [47 * hour, '47 hours'],
    [2 * day, '2 days'],
    [13 * day, '13 days'],
    [14 * day, '2 weeks'],
    [60 * day, '2 months'],
    [729 * day, '24 months'],
    [730 * day, '2 years'],
  ] as const)
    assert.equal(humanDuration(seconds), shown, String(seconds));
  assert.equal(ago(0, 180_000), '3 minutes ago');
});

test('parseBytes, parseDuration and parseTime read what Docker reads', () => {
  assert.equal(parseBytes('512'), 512);
  assert.equal(parseBytes('1.5g'), 1.5 * 1024 ** 3);
  assert.equal(parseBytes('64MiB'), 64 * 1024 ** 2);
  assert.equal(parseBytes('2 kb'), 2048);
  for (const bad of ['', 'm', '-1', '1x', '1e3']) assert.throws(() => parseBytes(bad), { kind: 'invalid' }, bad);
  assert.equal(parseDuration('1m30.5s'), 90.5e9);
  assert.equal(parseDuration('500ms'), 5e8);
  for (const bad of ['', '5', '5 s', 's', '-1s']) assert.throws(() => parseDuration(bad), { kind: 'invalid' }, bad);
  assert.equal(parseTime('1700000000.5'), '1700000000.5');
  assert.equal(parseTime('42m', 42 * 60_000), '0.000000000');
  assert.equal(parseTime('2013-01-02T13:23:37Z'), '1357133017.000');
  assert.throws(() => parseTime('yesterday'), { kind: 'invalid', message: /"yesterday" is not a time/ });
});

test('localRfc3339 has nine digits of a second', () => {
  assert.match(localRfc3339(1700000000, 5), /T.*\.000000005(?:Z|[+-]\d\d:\d\d)$/);
});
