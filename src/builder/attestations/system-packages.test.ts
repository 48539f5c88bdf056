import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { purlOf } from './package.ts';
import { rpmPackage, rpmPackages } from './system-packages.ts';

/** A header of rpm's database: [tag, type, bytes]. */
function header(...entries: readonly (readonly [number, number, Buffer])[]): Buffer {
  const data = Buffer.concat(entries.map(([, , bytes]) => bytes));
  const index = Buffer.alloc(8 + entries.length * 16);
  index.writeUInt32BE(entries.length, 0);
  index.writeUInt32BE(data.length, 4);
  let offset = 0;
  for (const [at, [tag, type, bytes]] of entries.entries()) {
    for (const [field, value] of [tag, type, offset, 1].entries()) index.writeUInt32BE(value, 8 + at * 16 + field * 4);
    offset += bytes.length;
  }
  return Buffer.concat([index, data]);
}
const text = (value: string) => Buffer.from(`${value}\0`);
const bash = header(
  [1000, 6, text('bash')],
  [1001, 6, text('5.2.26')],
  [1002, 6, text('3.fc40')],
  [1022, 6, text('x86_64')],
  [1003, 4, Buffer.from([0, 0, 0, 1])],
);

test('rpmPackage reads a header, and passes over what is none', () => {
  const found = rpmPackage(bash, '/db');
  assert.deepEqual(found, {
    kind: 'rpm',
    name: 'bash',
    version: '1:5.2.26-3.fc40',
    source: '/db',
    architecture: 'x86_64',
  });
  assert.equal(
    found && purlOf(found, { id: 'fedora', version: '40' }),
    'pkg:rpm/fedora/bash@1:5.2.26-3.fc40?arch=x86_64&distro=fedora-40',
  );
  for (let length = 0; length < bash.length; length++) rpmPackage(bash.subarray(0, length), '/db');
  for (let at = 0; at < bash.length; at++) {
    const broken = Buffer.from(bash);
    broken[at] = 0xff;
    rpmPackage(broken, '/db');
  }
  assert.equal(rpmPackage(Buffer.alloc(0), '/db'), undefined);
});

test('rpmPackages reads a database, and has nothing to say of any other file', () => {
  const directory = mkdtempSync(`${tmpdir()}/gantry-rpm-`);
  try {
    const db = new DatabaseSync(`${directory}/db`);
    db.exec('CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)');
    db.prepare('INSERT INTO Packages VALUES (1, ?), (2, ?)').run(bash, Buffer.from('no header'));
    db.close();
    assert.deepEqual(
      rpmPackages(`${directory}/db`, '/db').map(({ name }) => name),
      ['bash'],
    );
    writeFileSync(`${directory}/other`, 'no database');
    assert.deepEqual(rpmPackages(`${directory}/other`, '/db'), []);
    const other = new DatabaseSync(`${directory}/view`);
    other.exec('CREATE VIEW Packages AS SELECT 1 AS blob');
    other.close();
    assert.deepEqual(rpmPackages(`${directory}/view`, '/db'), []);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
