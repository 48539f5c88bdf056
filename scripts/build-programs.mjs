// Compiles the short-lived programs (gantry, gantry-runtime) with Bun into build/bin: one file each that starts in a few
// milliseconds, where Node takes some forty. The starters in bin/ fall back to Node where there is none; the daemons always
// run on Node. Rebuilds only what is older than its sources.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { arch } from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What the entry may import statically; the daemons behind `gantry daemon` and `gantry hub` stay outside. */
const programs = [
  {
    out: 'gantry',
    entry: 'src/cli/main.ts',
    folders: ['cli', 'client', 'oci', 'tar', 'errors', 'linux'],
    external: ['#daemon/index.ts', '#hub-server/index.ts'],
  },
  {
    out: 'gantry-runtime',
    entry: 'src/runtime/cli/main.ts',
    folders: ['runtime', 'oci', 'errors', 'linux'],
    external: [],
  },
];

const newest = (directory) =>
  Math.max(
    0,
    ...readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
      .map((entry) => statSync(`${entry.parentPath}/${entry.name}`).mtimeMs),
  );

const bun = [`@oven/bun-linux-${arch === 'arm64' ? 'aarch64' : arch}/bin/bun`, 'bun/bin/bun.exe']
  .map((path) => `${root}node_modules/${path}`)
  .find((path) => existsSync(path) && spawnSync(path, ['--version']).status === 0);

mkdirSync(`${root}build/bin`, { recursive: true });
for (const { out, entry, folders, external } of programs) {
  const target = `${root}build/bin/${out}`;
  const changed = Math.max(
    statSync(fileURLToPath(import.meta.url)).mtimeMs,
    ...folders.map((folder) => newest(`${root}src/${folder}`)),
  );
  if (existsSync(target) && statSync(target).mtimeMs > changed) continue;
  if (bun === undefined) {
    process.stderr.write(`setup: bun does not run here; ${out} starts on Node, which is slower\n`);
    continue;
  }
  const temporary = `${target}.${process.pid}`;
  const flags = external.flatMap((name) => ['--external', name]);
  const args = ['build', '--compile', '--bytecode', '--minify', ...flags, `${root}${entry}`, '--outfile', temporary];
  const { status, stdout, stderr } = spawnSync(bun, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) {
    process.stderr.write(`${stdout}${stderr}setup: ${out} does not compile with bun\n`);
    process.exit(1);
  }
  renameSync(temporary, target);
}
