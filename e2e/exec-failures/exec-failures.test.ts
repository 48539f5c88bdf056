import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';

/** The head of a program for another processor, or one that asks for a loader: elf(5), 64 bits, little-endian. */
function elf(machine: number, loader = ''): Buffer {
  const file = Buffer.alloc(64 + 56 + loader.length + 1);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(2, 16); // an executable
  file.writeUInt16LE(machine, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(loader === '' ? 0 : 1, 56);
  file.writeUInt32LE(3, 64); // PT_INTERP
  file.writeBigUInt64LE(120n, 72);
  file.writeBigUInt64LE(BigInt(loader.length + 1), 96);
  file.write(loader, 120, 'latin1');
  return file;
}

// With 64 bits and little-endian no such program can be, so that no emulator on the host runs it.
const other = { machine: 20, name: 'ppc' };
const own = process.arch === 'x64' ? 62 : 183;

/** What lies in /broken of the image, its mode, and what is said of it. */
const cases: readonly (readonly [
  name: string,
  content: string | Buffer,
  mode: number,
  exit: number,
  reason: RegExp,
])[] = [
  [
    'plain',
    '#!/bin/sh\n',
    0o644,
    126,
    /permission denied: \/broken\/plain has no permission to execute \(mode 0644\): chmod \+x it/,
  ],
  [
    'other',
    elf(other.machine),
    0o755,
    126,
    new RegExp(`exec format error: /broken/other is a program for ${other.name}, and this machine is`),
  ],
  [
    'lost',
    '#!/opt/perl -w\n',
    0o755,
    127,
    /the interpreter that \/broken\/lost names cannot be run: \/opt\/perl is not there/,
  ],
  [
    'crlf',
    '#!/bin/sh\r\necho hi\r\n',
    0o755,
    127,
    /the first line of \/broken\/crlf ends with a carriage return \(CRLF\)/,
  ],
  [
    'text',
    'echo hi\n',
    0o755,
    126,
    /exec format error: \/broken\/text is a text file; its first line must name an interpreter/,
  ],
  ['empty', '', 0o755, 126, /\/broken\/empty is an empty file/],
  [
    'musl',
    elf(own, '/lib/ld-musl-x86_64.so.1'),
    0o755,
    127,
    /needs the dynamic loader \/lib\/ld-musl-x86_64\.so\.1, which is not there: it was built for musl/,
  ],
  ['glibc', elf(own, '/lib64/ld-linux-x86-64.so.2'), 0o755, 127, /which is not there: it was built for glibc/],
  ['windows', 'MZ\x90\0\x03', 0o755, 126, /\/broken\/windows is a program for Windows/],
  ['marked', '\ufeff#!/bin/sh\n', 0o755, 126, /a byte order mark stands before the #!/],
];

describe('a command that cannot be executed', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
    const context = `${engine.root}/context`;
    mkdirSync(`${context}/broken`, { recursive: true });
    for (const [name, content, mode] of cases) {
      writeFileSync(`${context}/broken/${name}`, content);
      execFileSync('chmod', [mode.toString(8), `${context}/broken/${name}`]);
    }
    writeFileSync(
      `${context}/Dockerfile`,
      'FROM busybox\nCOPY broken /broken\nRUN ln -s nowhere /broken/dangling && ln -s / /broken/up && mkfifo -m 755 /broken/fifo && mkdir /broken/folder\n',
    );
    const { code, stderr } = await engine.gantry(['build', '-q', '-t', 'broken', context]);
    assert.equal(code, 0, stderr);
    assert.equal((await engine.gantry(['run', '-d', '--name', 'whole', 'broken', 'sleep', '1000'])).code, 0);
  });
  after(() => engine[Symbol.asyncDispose]());

  /** The same is said by run, by start and by exec, with the same exit code. */
  async function isSaid(command: string, exit: number, reason: RegExp): Promise<void> {
    const ran = await engine.gantry(['run', '--rm', 'broken', command]);
    assert.match(ran.stderr, reason);
    assert.equal(ran.code, exit, `run ${command}`);
    assert.equal((await engine.gantry(['create', '--name', 'made', 'broken', command])).code, 0);
    const started = await engine.gantry(['start', 'made']);
    assert.match(started.stderr, reason);
    assert.notEqual(started.code, 0);
    const state = await engine.gantry(['inspect', '-f', '{{.State.ExitCode}} {{.State.Error}}', 'made']);
    assert.match(state.stdout, reason);
    assert.match(state.stdout, new RegExp(`^${exit} `));
    await engine.gantry(['rm', 'made']);
    const executed = await engine.gantry(['exec', 'whole', command]);
    assert.match(executed.stdout + executed.stderr, reason);
    assert.equal(executed.code, exit, `exec ${command}`);
  }

  for (const [name, , , exit, reason] of cases)
    test(`of a file that is ${name}`, () => isSaid(`/broken/${name}`, exit, reason));

  test('that is not there, or is no file', async () => {
    await isSaid('/broken/nothing', 127, /no such file or directory: there is no such file in the container/);
    await isSaid('/no/where/to/be', 127, /there is no directory \/no in the container/);
    await isSaid('nothing', 127, /executable file not found in \$PATH: there is no such file in \/usr\/local\/sbin:/);
    await isSaid('echo hi', 127, /is it a command with its arguments in one word\?/);
    await isSaid('/broken/folder', 126, /is a directory/);
    await isSaid('/broken/dangling', 127, /\/broken\/dangling is a link to nowhere, which is not there/);
    await isSaid('/broken/fifo', 126, /\/broken\/fifo is a fifo, and no file/);
  });

  test('is looked for where the container looks: in its mounts, its directory, below links, as its user', async () => {
    mkdirSync(`${engine.root}/bound`);
    writeFileSync(`${engine.root}/bound/text`, 'echo hi\n', { mode: 0o755 });
    writeFileSync(`${engine.root}/bound/private`, '#!/bin/sh\n', { mode: 0o700 });
    const mounted = ['run', '--rm', '-v', `${engine.root}/bound:/bound`];
    const said = async (...args: string[]) => (await engine.gantry(args)).stderr;
    assert.match(await said(...mounted, 'busybox', '/bound/text'), /\/bound\/text is a text file/);
    assert.match(await said(...mounted, '-w', '/bound', 'busybox', './text'), /\/bound\/\.\/text is a text file/);
    assert.match(
      await said(...mounted, '-u', '1000', 'busybox', '/bound/private'),
      /its user may not execute \/bound\/private \(mode 0700, owner 0:0\)/,
    );
    assert.match(await said('run', '--rm', 'broken', '/broken/up/broken/text'), /is a text file/);
    const noexec = ['run', '--rm', '--tmpfs', '/scratch', 'busybox', 'sh', '-c'];
    assert.match(
      await said(...noexec, 'cp /bin/busybox /scratch/true; exec /scratch/true'),
      /Permission denied/i,
      'the shell itself is told',
    );
    await engine.gantry(['run', '-d', '--name', 'scratchy', '--tmpfs', '/scratch', 'busybox', 'sleep', '1000']);
    await engine.gantry(['exec', 'scratchy', 'cp', '/bin/busybox', '/scratch/true']);
    const { stdout, stderr } = await engine.gantry(['exec', 'scratchy', '/scratch/true']);
    assert.match(stdout + stderr, /\/scratch is a tmpfs where nothing may be executed; mount it with the option exec/);
  });

  test('an image cannot lead the engine out of itself', async () => {
    const context = `${engine.root}/hostile`;
    mkdirSync(context);
    writeFileSync(`${engine.root}/secret`, 'a text of the host\n', { mode: 0o755 });
    writeFileSync(
      `${context}/Dockerfile`,
      `FROM busybox\nRUN ln -s ../../../../..${engine.root}/secret /out && ln -s ${engine.root} /tree\n`,
    );
    assert.equal((await engine.gantry(['build', '-q', '-t', 'hostile', context])).code, 0);
    for (const command of ['/out', '/tree/secret']) {
      const { stderr } = await engine.gantry(['run', '--rm', 'hostile', command]);
      assert.match(stderr, /is a link to|there is no directory/);
      assert.doesNotMatch(stderr, /is a text file/);
    }
  });
});
