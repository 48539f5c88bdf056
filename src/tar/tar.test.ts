import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GantryError } from '#errors/index.ts';
import {
  createTarDecoder,
  decodeName,
  encodeName,
  encodeTarHeader,
  type NewTarHeader,
  packEntries,
  readTar,
  type TarEntry,
  type TarEntryType,
} from './index.ts';

/** A generator of numbers in [0, 1) that a seed fixes (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Whole {
  readonly header: NewTarHeader;
  readonly body: Buffer;
}

const types: readonly TarEntryType[] = [
  'file',
  'hardlink',
  'symlink',
  'character-device',
  'block-device',
  'directory',
  'fifo',
];

function randomEntry(random: () => number): Whole {
  const int = (max: number) => Math.floor(random() * max);
  const pick = <T>(values: readonly [T, ...T[]]): T => values[int(values.length)] ?? values[0];
  const name = () => {
    const length = pick([1, 20, 99, 100, 101, 156, 255, 300, 900]);
    const letter = () => pick(['a', 'B', '/', 'ü', '語', '😀', '\udcff', ' ', '\n', '=']);
    const text = Array.from({ length }, letter).join('').slice(0, length);
    return text.replace(/[\ud800-\udbff]$|^\/+|\/+$/g, '') || 'x';
  };
  const type = pick(types as [TarEntryType, ...TarEntryType[]]);
  const body = type === 'file' ? Buffer.alloc(pick([0, 1, 511, 512, 513, 5000]), int(256)) : Buffer.alloc(0);
  const device = type === 'character-device' || type === 'block-device';
  const xattrs = new Map<string, Uint8Array>();
  for (let i = int(3); i > 0; i--) xattrs.set(`user.k${i}`, Buffer.from([0, 10, int(256), 0x3d]));
  return {
    body,
    header: {
      name: type === 'directory' ? `${name()}/` : name(),
      type,
      mode: int(0o10000),
      uid: pick([0, 1000, 0o7777777, 0o10000000, 0xffff_fffe]),
      gid: pick([0, 5, 65534, 0xffff_fffe]),
      size: body.length,
      mtime: {
        seconds: pick([0, 1_700_000_000, -1, -5_000_000_000, 2 ** 33, 2 ** 40]),
        nanoseconds: pick([0, 1, 500_000_000, 999_999_999]),
      },
      linkName: type === 'hardlink' || type === 'symlink' ? name() : '',
      major: device ? pick([0, 1, 259, 0o7777777]) : 0,
      minor: device ? pick([0, 3, 1_000_000]) : 0,
      userName: pick(['', 'root', 'a-user']),
      groupName: pick(['', 'wheel']),
      xattrs,
    },
  };
}

async function pack(entries: readonly Whole[]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of packEntries(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* inPieces(bytes: Buffer, random: () => number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + Math.floor(random() * 2000);
    yield bytes.subarray(at, end);
    at = end;
  }
}

async function unpack(source: AsyncIterable<Uint8Array>): Promise<Whole[]> {
  const entries: Whole[] = [];
  for await (const { body: _, bytes, ...header } of readTar(source))
    entries.push({ header, body: await bytes(1 << 20) });
  return entries;
}

test('readTar gives back what packEntries was given, in whatever pieces it arrives, and the bytes are the same again', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seeded(seed);
    const entries = Array.from({ length: 1 + Math.floor(random() * 12) }, () => randomEntry(random));
    const archive = await pack(entries);
    assert.equal(archive.length % 512, 0);
    const read = await unpack(inPieces(archive, random));
    assert.deepEqual(
      read.map(({ header, body }) => ({ header: { ...header, xattrs: [...(header.xattrs ?? [])] }, body })),
      entries.map(({ header, body }) => ({
        header: { ...header, xattrs: [...(header.xattrs ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1)) },
        body,
      })),
      `seed ${seed}`,
    );
    assert.ok((await pack(read)).equals(archive), `seed ${seed}`);
  }
});

test('encodeTarHeader writes one block where ustar can say it all', () => {
  assert.equal(
    encodeTarHeader({ name: 'etc/passwd', type: 'file', size: 1, mtime: { seconds: 1, nanoseconds: 0 } }).length,
    512,
  );
  assert.equal(encodeTarHeader({ name: `${'d/'.repeat(70)}file`, type: 'file' }).length, 512);
  assert.ok(encodeTarHeader({ name: 'x', type: 'file', mtime: { seconds: 1, nanoseconds: 1 } }).length > 512);
});

test('encodeTarHeader refuses what no tar can hold', () => {
  for (const header of [
    { name: '', type: 'file' },
    { name: 'a\0b', type: 'file' },
    { name: 'a', type: 'symlink', linkName: '\0' },
    { name: 'a', type: 'file', uid: -1 },
    { name: 'a', type: 'file', size: 0.5 },
    { name: 'a', type: 'file', xattrs: new Map([['user.a=b', Buffer.alloc(0)]]) },
  ] as const)
    assert.throws(() => encodeTarHeader(header), { kind: 'invalid' });
});

test('packEntries refuses a body that is not as long as its header says', async () => {
  for (const body of [Buffer.from('ab'), Buffer.from('abcd')])
    await assert.rejects(pack([{ header: { name: 'f', type: 'file', size: 3 }, body }]), { kind: 'invalid' });
});

test('decodeName keeps bytes that are no UTF-8, and encodeName gives them back', () => {
  for (const hex of ['61', 'c3bc', 'ff', '61ff62', 'c3', 'e8aa9eff', 'f09f9880', 'edb380', 'efbfbd', 'c0af'])
    assert.equal(encodeName(decodeName(Buffer.from(hex, 'hex'))).toString('hex'), hex);
  assert.equal(decodeName(Buffer.from('a\ufffdb')), 'a\ufffdb');
});

/** A file's header with bytes of it replaced, and the checksum made right again. */
function forge(fields: Readonly<Record<number, string | Buffer>>, checksum = true): Buffer {
  const block = encodeTarHeader({ name: 'victim', type: 'file', size: 0 });
  for (const [at, value] of Object.entries(fields)) block.set(Buffer.from(value as string, 'latin1'), Number(at));
  if (checksum) {
    block.fill(0x20, 148, 156);
    const sum = block.reduce((a, b) => a + b, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return block;
}

async function* chunksOf(...chunks: Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

function pax(records: string, flag = 'x'): Buffer {
  const block = forge({ 124: records.length.toString(8).padStart(11, '0'), 156: flag });
  return Buffer.concat([block, Buffer.from(records, 'latin1'), Buffer.alloc((512 - (records.length % 512)) % 512)]);
}

/** A well-formed record; its length has two digits, or one. */
function record(key: string, value: string): string {
  const rest = key.length + value.length + 3;
  return `${rest + String(rest + 1).length} ${key}=${value}\n`;
}

test('readTar names what is wrong with a hostile header', async () => {
  const hostile: readonly (readonly [string, Buffer, string])[] = [
    ['a wrong checksum', forge({ 0: 'x' }, false), 'corrupt'],
    ['noise', Buffer.alloc(512, 0x41), 'corrupt'],
    ['a size that is no number', forge({ 124: 'size' }), 'corrupt'],
    ['a negative size', forge({ 124: Buffer.alloc(12, 0xff) }), 'corrupt'],
    ['a size beyond 2^53', forge({ 124: Buffer.from('80ffffffffffffffffffffff', 'hex') }), 'corrupt'],
    ['a negative owner', forge({ 108: Buffer.alloc(8, 0xff) }), 'corrupt'],
    ['no name', forge({ 0: '\0\0\0\0\0\0' }), 'corrupt'],
    ['a huge extended header', forge({ 124: '77777777777', 156: 'x' }), 'corrupt'],
    ['a huge long name', forge({ 124: '77777777777', 156: 'L' }), 'corrupt'],
    ['a sparse file', forge({ 156: 'S' }), 'unsupported'],
    ['a volume', forge({ 156: 'M' }), 'unsupported'],
    ['an unknown type', forge({ 156: '?' }), 'unsupported'],
    ['a PAX record without length', pax('path=x\n'), 'corrupt'],
    ['a PAX record of no bytes', pax('0 path=x\n'), 'corrupt'],
    ['a PAX record past the end', pax('99 path=x\n'), 'corrupt'],
    ['a PAX record without newline', pax('10 path=xx'), 'corrupt'],
    ['a NUL in a path', Buffer.concat([pax(record('path', 'a\0b')), forge({})]), 'corrupt'],
    ['a PAX size that is none', Buffer.concat([pax(record('size', '-5')), forge({})]), 'corrupt'],
    ['a PAX owner beyond 32 bits', Buffer.concat([pax(record('uid', '4294967295')), forge({})]), 'corrupt'],
    ['a PAX time that is none', Buffer.concat([pax(record('mtime', '1e9')), forge({})]), 'corrupt'],
    ['a PAX sparse file', Buffer.concat([pax(record('GNU.sparse.major', '1')), forge({})]), 'unsupported'],
    ['an entry after the end', Buffer.concat([Buffer.alloc(512), forge({})]), 'corrupt'],
  ];
  for (const [what, bytes, kind] of hostile) await assert.rejects(unpack(chunksOf(bytes)), { kind }, what);
});

test('readTar bounds what global headers may pile up', async () => {
  const piece = (key: string) => pax(record(key, 'x'.repeat(700_000)), 'g');
  await assert.rejects(unpack(chunksOf(piece('comment'), piece('other'))), { kind: 'corrupt', message: /global/ });
});

test('readTar takes an archive cut off in an entry as corrupt, and one without its end blocks as whole', async () => {
  const archive = await pack([
    { header: { name: 'long/'.repeat(60), type: 'directory' }, body: Buffer.alloc(0) },
    { header: { name: 'f', type: 'file', size: 700 }, body: Buffer.alloc(700, 1) },
  ]);
  const content = archive.length - 1024;
  for (const length of [1, 511, 513, 1100, content - 1, content - 400, content - 1024, content - 1025])
    await assert.rejects(unpack(chunksOf(archive.subarray(0, length))), { code: 'tar-truncated' }, `${length} bytes`);
  for (const length of [content, content + 512, archive.length])
    assert.equal((await unpack(chunksOf(archive.subarray(0, length)))).length, 2);
  assert.equal((await unpack(chunksOf(archive, Buffer.alloc(9000, 7)))).length, 2);
  assert.equal((await unpack(chunksOf())).length, 0);
});

test('readTar lets a PAX header override a global one, an empty value take it back, and both end with their entry', async () => {
  const [first, second, third] = await unpack(
    chunksOf(
      pax(record('uname', 'all') + record('mtime', '1.25'), 'g'),
      pax(record('path', 'one')),
      forge({}),
      pax(record('uname', '')),
      forge({}),
      forge({}),
    ),
  );
  assert.deepEqual([first?.header.name, first?.header.mtime], ['one', { seconds: 1, nanoseconds: 250_000_000 }]);
  assert.equal(second?.header.userName, '');
  assert.deepEqual([third?.header.name, third?.header.userName], ['victim', 'all']);
});

test('readTar skips a content that is not read, and refuses one that is read too late', async () => {
  const archive = await pack(
    ['a', 'b'].map((name) => ({ header: { name, type: 'file', size: 3000 }, body: Buffer.alloc(3000, name) })),
  );
  const bodies: TarEntry[] = [];
  for await (const entry of readTar(chunksOf(archive))) bodies.push(entry);
  assert.deepEqual(
    bodies.map(({ name }) => name),
    ['a', 'b'],
  );
  await assert.rejects(async () => bodies[0]?.bytes(5000), { kind: 'internal' });
  for await (const entry of readTar(chunksOf(archive))) {
    await assert.rejects(entry.bytes(2999), { kind: 'exhausted' });
    break;
  }
});

test('createTarDecoder ends on any input, and throws nothing but a GantryError', async () => {
  const random = seeded(7);
  const whole = await pack(Array.from({ length: 20 }, () => randomEntry(random)));
  let failed = 0;
  for (let round = 0; round < 1500; round++) {
    const bytes = Buffer.from(whole);
    for (let i = 1 + Math.floor(random() * 8); i > 0; i--)
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    const cut = bytes.subarray(0, Math.floor(random() * bytes.length));
    const decoder = createTarDecoder();
    try {
      let events = 0;
      for (let at = 0; at < cut.length; at += 777) for (const _ of decoder.decode(cut.subarray(at, at + 777))) events++;
      assert.ok(events < 200);
      decoder.finish();
    } catch (error) {
      failed++;
      assert.ok(error instanceof GantryError, String(error));
    }
  }
  assert.ok(failed > 100);
});
