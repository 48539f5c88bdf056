// `npm run check`: formatter, linter, types and the import law. Exits non-zero on the first kind that fails, after running all.
import { spawnSync } from 'node:child_process';

const steps: readonly (readonly [string, readonly string[]])[] = [
  ['biome', ['check', '--error-on-warnings', '.']],
  ['tsc', ['-p', '.']],
  ['tsc', ['-p', 'web']],
  ['node', ['scripts/check-imports.ts']],
];
for (const [program, args] of steps) {
  const { status } = spawnSync(program, args, { stdio: 'inherit' });
  if (status !== 0) {
    console.error(`check: ${program} ${args.join(' ')} failed`);
    process.exitCode = 1;
  }
}
