// The import law of ARCHITECTURE.md: imports go down the rows, and cross a folder only through its index.ts.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

const rows: Readonly<Record<string, number>> = {
  errors: 0,
  oci: 1,
  dockerfile: 1,
  linux: 1,
  tar: 1,
  content: 2,
  snapshots: 2,
  network: 2,
  volumes: 2,
  runtime: 2,
  distribution: 2,
  client: 2,
  images: 3,
  registry: 3,
  engine: 4,
  builder: 4,
  api: 5,
  'registry-http': 5,
  cli: 6,
  daemon: 6,
  'hub-server': 6,
};
/** Exceptions by folder: the only folders it may name. The command line knows the engine by its client and, for manifest lists, registries; it starts programs, packs contexts, and is handed descriptors. */
const only: Readonly<Record<string, readonly string[]>> = {
  cli: ['client', 'distribution', 'oci', 'errors', 'linux', 'tar', 'daemon', 'hub-server'],
};
const root = resolve(import.meta.dirname, '../src');
const problems: string[] = [];
for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
  const file = `${entry.parentPath}/${entry.name}`;
  const path = relative(root, file);
  const folder = path.split('/')[0] ?? '';
  const row = rows[folder];
  if (row === undefined) {
    problems.push(`src/${path}: the folder ${folder} has no row in scripts/check-imports.ts`);
    continue;
  }
  const test = path.endsWith('.test.ts');
  for (const match of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
    const target = match[1] ?? '';
    if (target.startsWith('.')) {
      if (
        relative(`${root}/${folder}`, resolve(dirname(file), target)).startsWith('..') &&
        !/\/(web|build)\//.test(resolve(dirname(file), target))
      )
        problems.push(`src/${path}: ${target} leaves its folder; use #folder/index.ts`);
      continue;
    }
    if (!target.startsWith('#')) continue;
    const [to = '', ...rest] = target.slice(1).split('/');
    const toRow = rows[to];
    if (toRow === undefined) problems.push(`src/${path}: ${target} names no folder of the house`);
    else if (to !== folder && toRow >= row && !(test && toRow === row) && !only[folder]?.includes(to))
      problems.push(`src/${path}: row ${row} may not import ${target} of row ${toRow}`);
    else if (rest.join('/') !== 'index.ts' && to !== folder)
      problems.push(`src/${path}: ${target} is deep inside ${to}; use #${to}/index.ts`);
    const allowed = only[folder];
    if (allowed !== undefined && to !== folder && !allowed.includes(to))
      problems.push(`src/${path}: ${folder} may only import ${allowed.join(', ')}`);
  }
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
