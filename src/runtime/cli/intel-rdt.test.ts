import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, beforeEach, test } from 'node:test';
import { makeRdtGroups, removeRdtGroups, resctrlRoot, updateRdtGroups } from './intel-rdt.ts';

// A tree as resctrl's, but that the kernel would put its files into each new class by itself.
const root = mkdtempSync(`${tmpdir()}/gantry-resctrl-`);
const written = (name: string) => readFileSync(`${root}/${name}/schemata`, 'utf8');
const existing = (name: string, schemata: string) => {
  mkdirSync(`${root}/${name}/mon_groups`, { recursive: true });
  writeFileSync(`${root}/${name}/schemata`, schemata);
};

beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(`${root}/info`, { recursive: true });
  mkdirSync(`${root}/mon_groups`);
  writeFileSync(`${root}/schemata`, '    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n');
  writeFileSync(`${root}/info/last_cmd_status`, 'ok\n');
});
after(() => rmSync(root, { recursive: true, force: true }));

test('resctrlRoot finds the mount, and says what to do where there is none', () => {
  const line = (type: string) => `30 20 0:27 / /a\\040b rw,relatime shared:1 - ${type} ${type} rw\n`;
  assert.equal(resctrlRoot(line('sysfs') + line('resctrl')), '/a b');
  assert.throws(() => resctrlRoot(line('sysfs')), {
    kind: 'unsupported',
    message: /no resctrl file system is mounted/,
  });
});

test('makeRdtGroups makes a class of the container’s own, with all that was asked for', () => {
  const asked = { l3CacheSchema: 'L3:0=f;1=f0\nMB:0=10', memBwSchema: 'MB:0=20;1=70', schemata: ['L2:0=3'] };
  const groups = makeRdtGroups(asked, 'box', root);
  assert.deepEqual(groups, { join: [`${root}/box`], made: [`${root}/box`] });
  assert.equal(written('box'), 'L3:0=f;1=f0\nMB:0=20;1=70\nL2:0=3\n');
  updateRdtGroups(groups, { memBwSchema: 'MB:0=30' }, root);
  assert.match(written('box'), /\nMB:0=30\n$/);
  rmSync(`${root}/box/schemata`);
  removeRdtGroups(groups);
  assert.ok(!existsSync(`${root}/box`));
  removeRdtGroups(groups);
});

test('makeRdtGroups joins a class that is there where its schema is the one asked for, and leaves it as it is', () => {
  existing('gold', '    MB:0=100;1=050\n    L3:0=07F;1=0f\n');
  const gold = { join: [`${root}/gold`], made: [] };
  for (const l3CacheSchema of ['L3:0=7f', 'L3:1=f;0=7f', 'L3: 0=07f; 1=0F'])
    assert.deepEqual(makeRdtGroups({ closID: 'gold', l3CacheSchema, memBwSchema: 'MB:1=50' }, 'box', root), gold);
  assert.deepEqual(makeRdtGroups({ closID: 'gold' }, 'box', root), gold);
  for (const memBwSchema of ['MB:1=60', 'MB:2=50'])
    assert.throws(() => makeRdtGroups({ closID: 'gold', memBwSchema }, 'box', root), {
      kind: 'conflict',
      message: /another schema than MB:/,
    });
  assert.throws(() => makeRdtGroups({ closID: 'none' }, 'box', root), {
    kind: 'not-found',
    message: /no class .*none/,
  });
  assert.throws(() => updateRdtGroups(gold, { memBwSchema: 'MB:1=60' }, root), { kind: 'conflict' });
  assert.equal(written('gold'), '    MB:0=100;1=050\n    L3:0=07F;1=0f\n');
  for (const closID of ['..', 'a/b', '../x', 'mon_groups', 'info'])
    assert.throws(() => makeRdtGroups({ closID }, 'box', root), { kind: 'invalid', message: /closID/ }, closID);
});

test('makeRdtGroups counts a container apart, in the root’s class too, and leaves nothing where it fails', () => {
  const groups = makeRdtGroups({ closID: '/', enableMonitoring: true }, 'box', root);
  assert.deepEqual(groups, { join: [root, `${root}/mon_groups/box`], made: [`${root}/mon_groups/box`] });
  assert.throws(() => makeRdtGroups({ closID: '.', enableMonitoring: true }, 'box', root), { kind: 'conflict' });
  removeRdtGroups(groups);
  assert.ok(!existsSync(`${root}/mon_groups/box`));
  // A directory of this tree has no mon_groups, which the kernel would make.
  assert.throws(() => makeRdtGroups({ enableMonitoring: true }, 'other', root));
  assert.ok(!existsSync(`${root}/other`));
});
