// Builds what ships from the sources, with Bun: `gantry` and `gantry-runtime` as one file each in build/bin, which start in
// a few milliseconds where Node takes some forty; and the same command line with the daemons behind it as JavaScript for Node
// in build/node, where a daemon holds two thirds of the memory it holds when it runs from TypeScript. The starters in bin/ fall
// back to the sources where there is no build. Rebuilds only what is older than its sources.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { arch } from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
// Whoever can write into a folder must not have a say in what is run there: no .env and no bunfig.toml (whose `preload` is code).
const compiled = [
  ...['--compile', '--bytecode', '--minify'],
  ...['--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig'],
];
// Modules stay two levels below the root, as in src/: what they name by path is found from both.
const forNode = ['--target=node', '--splitting', '--minify-syntax', '--entry-naming=[name].mjs'];
const all = readdirSync(`${root}src`);

const programs = [
  {
    out: 'bin/gantry',
    entries: ['cli/main.ts'],
    folders: ['cli', 'client', 'dockerfile', 'oci', 'tar', 'errors', 'linux'],
    // The daemons run on Node: they stay outside.
    flags: [...compiled, '--external', '#daemon/index.ts', '--external', '#hub-server/index.ts'],
  },
  {
    out: 'bin/gantry-runtime',
    entries: ['runtime/cli/main.ts'],
    folders: ['runtime', 'oci', 'errors', 'linux'],
    flags: compiled,
  },
  { out: 'node', entries: ['cli/main.ts', 'snapshots/extract-worker.ts'], folders: all, flags: forNode },
];

const newest = (directory) =>
  Math.max(
    0,
    ...readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.name.endsWith('.test.ts'))
      .map((entry) => statSync(`${entry.parentPath}/${entry.name}`).mtimeMs),
  );

const bun = [`@oven/bun-linux-${arch === 'arm64' ? 'aarch64' : arch}/bin/bun`, 'bun/bin/bun.exe']
  .map((path) => `${root}node_modules/${path}`)
  .find((path) => existsSync(path) && spawnSync(path, ['--version']).status === 0);

mkdirSync(`${root}build/bin`, { recursive: true });
for (const { out, entries, folders, flags } of programs) {
  const target = `${root}build/${out}`;
  const changed = Math.max(
    statSync(fileURLToPath(import.meta.url)).mtimeMs,
    ...folders.map((folder) => newest(`${root}src/${folder}`)),
  );
  if (existsSync(target) && statSync(target).mtimeMs > changed) continue;
  if (bun === undefined) {
    process.stderr.write(`setup: bun does not run here; ${out} is run from its sources, which is slower to start\n`);
    continue;
  }
  const temporary = `${target}.${process.pid}`;
  const place = flags === forNode ? '--outdir' : '--outfile';
  const sources = entries.map((entry) => `${root}src/${entry}`);
  const { status, stdout, stderr } = spawnSync(bun, ['build', ...flags, ...sources, place, temporary], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) {
    process.stderr.write(`${stdout}${stderr}setup: ${out} cannot be built\n`);
    process.exit(1);
  }
  // A directory cannot be renamed over another.
  const old = `${temporary}.old`;
  if (existsSync(target)) renameSync(target, old);
  renameSync(temporary, target);
  rmSync(old, { recursive: true, force: true });
}
