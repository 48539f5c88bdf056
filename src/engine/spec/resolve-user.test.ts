import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isGantryError } from '#errors/index.ts';
import { resolveUser } from './resolve-user.ts';

const passwd =
  'root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n1000:x:0:0::/root:/bin/sh\n4294967296:x:0:0::/:\nbroken:x::0::/:\nodd:x:-1:0::/:\n';
const group = 'root:x:0:\nana:x:1000:\nstaff:x:50:ana,bob\n50:x:0:\nbad:x:zero:\n';
const resolve = (user: string, add: readonly string[] = []) => resolveUser(user, passwd, group, add);
const ids = (user: string) => {
  const { uid, gid, additionalGids } = resolve(user);
  return [uid, gid, additionalGids];
};

test('resolveUser takes names, numbers and groups, as Docker does', () => {
  assert.deepEqual(ids(''), [0, 0, [0]]);
  assert.deepEqual(ids('ana'), [1000, 1000, [1000, 50]]);
  assert.deepEqual(ids('ana:'), [1000, 1000, [1000, 50]]);
  assert.deepEqual(ids('ana:staff'), [1000, 50, [50]]);
  assert.deepEqual(ids('7'), [7, 0, [0]]);
  assert.deepEqual(ids('7:8'), [7, 8, [8]]);
  assert.deepEqual(ids(':staff'), [0, 50, [50]]);
  assert.equal(resolve('ana').home, '/home/ana');
  assert.deepEqual(resolve('7', ['staff', '9']).additionalGids, [0, 50, 9]);
});

test('resolveUser never lets an image name root so that a number means it (CVE-2026-46680)', () => {
  assert.deepEqual(ids('1000'), [1000, 1000, [1000, 50]]);
  assert.deepEqual(ids('7:50'), [7, 50, [50]]);
  for (const user of ['4294967296', '4294967295', '99999999999999999999', '7:4294967296'])
    assert.throws(() => resolve(user), /must be in range/, user);
});

test('resolveUser refuses what is no user, and lines that are broken, instead of making them root', () => {
  for (const user of [
    'nobody',
    ' 0',
    '0 ',
    '+0',
    '-1',
    '0x0',
    '1e3',
    'broken',
    'odd',
    'ana:bad',
    'ana:none',
    '1:2:3',
    '0\n',
  ])
    assert.throws(
      () => resolve(user),
      (error) => isGantryError(error, 'invalid'),
      JSON.stringify(user),
    );
});
