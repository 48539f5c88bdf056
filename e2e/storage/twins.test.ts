import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { closeFd, openDirectory } from '#linux/index.ts';
import { extractTar } from '#snapshots/index.ts';
import { packEntries, type TarSource } from '#tar/index.ts';

const file = (name: string, text = name): TarSource => ({ header: { name, type: 'file' }, body: Buffer.from(text) });

async function extracted(entries: Iterable<TarSource>, look: (root: string) => void): Promise<void> {
  const root = mkdtempSync(`${tmpdir()}/gantry-twins-`);
  const fd = openDirectory(root);
  try {
    await extractTar(packEntries(entries), fd, { whiteouts: 'overlay' });
    look(root);
  } finally {
    closeFd(fd);
    rmSync(root, { recursive: true });
  }
}

test('names that differ in case or in how an accent is written stay apart', async () => {
  const twins = ['readme', 'README', 'caf\u00e9', 'cafe\u0301', '\u212b', '\u00c5'];
  await extracted(
    twins.map((name) => file(`d/${name}`, name)),
    (root) => {
      assert.deepEqual(readdirSync(`${root}/d`).toSorted(), twins.toSorted());
      for (const name of twins) assert.equal(readFileSync(`${root}/d/${name}`, 'utf8'), name);
    },
  );
});

test('of entries with one name the last counts, and nothing can be below a file', async () => {
  await extracted([file('c', '1'), file('c', '2')], (root) => {
    assert.equal(readFileSync(`${root}/c`, 'utf8'), '2');
  });
  await assert.rejects(
    extracted([file('a', 'first'), file('a/b', 'below')], () => {}),
    { kind: 'corrupt' },
  );
});
