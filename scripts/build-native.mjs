// Builds native/ into build/ with the C compiler at hand. Rebuilds only what is older than its sources.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { arch } from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const headers = `${root}node_modules/node-linux-${arch}/include/node`;
const warnings = ['-Wall', '-Wextra', '-Werror', '-Wshadow', '-Wconversion', '-Wno-sign-conversion', '-Wvla'];
const hardening = ['-O2', '-std=c17', '-fstack-protector-strong', '-D_FORTIFY_SOURCE=2'];

/** Every C program: its folder's sources and the shared ones it links. */
const programs = [
  {
    out: 'gantry.node',
    sources: ['addon.c'],
    flags: ['-shared', '-fPIC', `-I${headers}`, '-pthread', '-include', 'stdbool.h'],
  },
  {
    out: 'gantry-shim',
    directory: 'shim',
    shared: ['launcher'],
    flags: ['-static', '-Wl,--gc-sections', '-ffunction-sections'],
  },
  {
    out: 'gantry-launcher',
    directory: 'launcher-main',
    shared: ['launcher'],
    flags: ['-static', '-Wl,--gc-sections', '-ffunction-sections'],
  },
  { out: 'gantry', directory: 'starter', flags: ['-static', '-Wl,--gc-sections', '-ffunction-sections'] },
  { out: 'gantry-standby', directory: 'standby', flags: ['-static', '-Wl,--gc-sections', '-ffunction-sections'] },
  { out: 'gantry-init', directory: 'init', flags: ['-static', '-Wl,--gc-sections', '-ffunction-sections'] },
];

const cFiles = (directory) =>
  existsSync(`${root}native/${directory}`)
    ? readdirSync(`${root}native/${directory}`)
        .filter((f) => f.endsWith('.c'))
        .map((f) => `${directory}/${f}`)
    : [];
const newest = (directory) =>
  Math.max(
    ...readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((e) => e.isFile())
      .map((e) => statSync(`${e.parentPath}/${e.name}`).mtimeMs),
  );

mkdirSync(`${root}build`, { recursive: true });
const changed = newest(`${root}native`);
for (const program of programs) {
  const sources = program.sources ?? [...cFiles(program.directory), ...(program.shared ?? []).flatMap(cFiles)];
  if (sources.length === 0) continue;
  const out = `${root}build/${program.out}`;
  if (existsSync(out) && statSync(out).mtimeMs > changed) continue;
  const temporary = `${out}.${process.pid}`;
  execFileSync(
    'cc',
    [
      ...hardening,
      ...warnings,
      '-o',
      temporary,
      ...sources.map((s) => `${root}native/${s}`),
      `-I${root}native`,
      ...program.flags,
    ],
    { stdio: 'inherit' },
  );
  execFileSync('mv', [temporary, out]);
}
