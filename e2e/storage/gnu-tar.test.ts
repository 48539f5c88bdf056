import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { after, test } from 'node:test';
import { closeFd, getXattrAt, listXattrsAt, openDirectory, setXattrAt } from '#linux/index.ts';
import { extractTar, packTree } from '#snapshots/index.ts';
import { readTar } from '#tar/index.ts';

const base = mkdtempSync('/var/tmp/gantry-gnu-tar-');
after(() => rmSync(base, { recursive: true, force: true }));

function sh(script: string): string {
  return execFileSync('sh', ['-euc', script], {
    cwd: base,
    encoding: 'utf8',
    stdio: 'pipe',
    env: { ...process.env, LC_ALL: 'C' },
  });
}

async function withDirectory<T>(name: string, use: (fd: number) => Promise<T> | T): Promise<T> {
  const fd = openDirectory(`${base}/${name}`);
  try {
    return await use(fd);
  } finally {
    closeFd(fd);
  }
}

/** A tree with one of everything. */
const tree = 'tree';
mkdirSync(`${base}/${tree}`);
sh(`cd ${tree}
  mkdir -p dir/empty "deep/$(printf 'long-directory-name/%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)"
  echo hello > dir/file; ln dir/file dir/second; ln dir/file another
  : > empty; head -c 70000 /dev/urandom > big
  ln -s ../dir/file dir/link; ln -s "$(printf 'x%.0s' $(seq 150))" longlink; ln -s /nowhere dangling
  mkfifo fifo; mknod char c 5 1; mknod block b 259 70000
  touch "$(printf 'n%.0s' $(seq 255))" "$(printf 'caf\\303\\251 \\377\\n')"
  find deep -type d | tail -1 | xargs -I{} sh -c 'echo x > "{}/leaf"'
  chown 1000:2000 dir/file; chown -h 3000:70000 dir/link; chown 4000000:4000000 big
  chmod 4755 dir/file; chmod 2750 dir; chmod 1777 dir/empty; chmod 000 empty
  find . -exec touch -h -d '2021-02-03 04:05:06.123456789' {} +
  touch -d '1960-01-01 00:00:00.25' big; touch -d '2200-01-01' fifo`);
await withDirectory(tree, (fd) => {
  setXattrAt(fd, 'big', 'security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex'));
  setXattrAt(fd, 'dir', 'user.note', Buffer.from('with\0zero=and\nnewline'));
});

/** All that find(1) and the attributes tell of a tree. */
async function describe(name: string): Promise<string> {
  const listing = sh(`cd ${name}; find . -printf '%p|%y|%m|%U:%G|%n|%T@|%l\\n' | sort; stat -c '%n %t:%T' char block
    find . -type f -exec sha256sum {} + | sort; stat -c %i dir/file dir/second another | uniq | wc -l`);
  const attributes = await withDirectory(name, (fd) =>
    ['big', 'dir', 'dir/file'].flatMap((path) =>
      listXattrsAt(fd, path).map((key) => `${path} ${key}=${getXattrAt(fd, path, key)?.toString('hex')}`),
    ),
  );
  return listing + attributes.join('\n');
}

for (const format of ['pax', 'gnu'])
  test(`extractTar makes of GNU tar's ${format} archive what GNU tar makes of it`, async () => {
    const flags = format === 'pax' ? "--xattrs --xattrs-include='*'" : '';
    sh(`tar --format=${format} ${flags} -C ${tree} -cf ${format}.tar .
      mkdir ours-${format} theirs-${format}; tar ${flags} --same-owner -p -C theirs-${format} -xf ${format}.tar`);
    await withDirectory(`ours-${format}`, (fd) =>
      extractTar(createReadStream(`${base}/${format}.tar`), fd, { whiteouts: 'literal' }),
    );
    assert.equal(await describe(`ours-${format}`), await describe(`theirs-${format}`));
    if (format === 'pax') assert.equal(await describe('ours-pax'), await describe(tree));
  });

test('packTree writes what GNU tar reads, and the same bytes for the same tree', async () => {
  await withDirectory(tree, (fd) => pipeline(packTree(fd, { root: true }), createWriteStream(`${base}/packed.tar`)));
  sh(`mkdir unpacked; tar --xattrs --xattrs-include='*' --same-owner -p -C unpacked -xf packed.tar`);
  assert.equal(await describe('unpacked'), await describe(tree));
  await withDirectory('unpacked', (fd) =>
    pipeline(packTree(fd, { root: true }), createWriteStream(`${base}/again.tar`)),
  );
  sh('cmp packed.tar again.tar');
  await withDirectory(tree, (fd) =>
    pipeline(packTree(fd, { prefix: 'some/where/' }), createWriteStream(`${base}/prefixed.tar`)),
  );
  assert.match(sh('tar -tf prefixed.tar'), /^some\/where\/another$/m);
});

test('a sparse archive is refused by name', async () => {
  for (const format of ['gnu', 'pax']) {
    sh(`truncate -s 10M sparse-file; tar --format=${format} -S -cf sparse-${format}.tar sparse-file`);
    await assert.rejects(
      async () => {
        for await (const _ of readTar(createReadStream(`${base}/sparse-${format}.tar`)));
      },
      { kind: 'unsupported', code: 'tar-sparse', message: /sparse-file/ },
    );
  }
});

test('a large tar unpacks about as fast as GNU tar does it, and does not hold the event loop', async (context) => {
  // In memory where there is room for that: what is measured is this code and not the disk.
  const large = mkdtempSync(`${existsSync('/dev/shm') ? '/dev/shm' : '/var/tmp'}/gantry-large-`);
  const at = (name: string): string => `${large}/${name}`;
  try {
    for (let d = 0; d < 100; d++) {
      mkdirSync(at(`tree/${d}`), { recursive: true });
      for (let f = 0; f < 90; f++) writeFileSync(at(`tree/${d}/${f}`), Buffer.alloc(1000 + ((d * f) % 33) * 1000, f));
    }
    sh(`tar -C ${at('tree')} -cf ${at('large.tar')} .; cd ${large}; mkdir one two three gnu`);
    let stall = 0;
    let last = performance.now();
    const beat = setInterval(() => {
      stall = Math.max(stall, performance.now() - last);
      last = performance.now();
    }, 1);
    const timed = async (work: () => unknown): Promise<string> => {
      const start = performance.now();
      await work();
      return `${(performance.now() - start).toFixed(0)} ms`;
    };
    const unpack = async (name: string): Promise<void> => {
      const fd = openDirectory(at(name));
      try {
        await extractTar(createReadStream(at('large.tar'), { highWaterMark: 1 << 20 }), fd, { whiteouts: 'overlay' });
      } finally {
        closeFd(fd);
      }
    };
    const one = await timed(() => unpack('one'));
    const two = await timed(() => Promise.all([unpack('two'), unpack('three')]));
    clearInterval(beat);
    const gnu = await timed(() => sh(`tar -C ${at('gnu')} -xf ${at('large.tar')}`));
    const megabytes = (statSync(at('large.tar')).size / 1e6).toFixed(0);
    context.diagnostic(`${megabytes} MB, 9101 entries: ${one}; two at once ${two}; GNU tar ${gnu}`);
    context.diagnostic(`longest stall of the event loop ${stall.toFixed(0)} ms`);
  } finally {
    rmSync(large, { recursive: true });
  }
});
