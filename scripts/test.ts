// `npm test`: the checks, the unit tests beside the code, then e2e/ on the real kernel.
import { spawnSync } from 'node:child_process';

const only = process.argv.slice(2);
// The tests run the compiled command line: it must be of the present sources.
if (spawnSync('node', ['scripts/build-programs.mjs'], { stdio: 'inherit' }).status !== 0) process.exit(1);
const check = only.length > 0 ? 0 : (spawnSync('node', ['scripts/check.ts'], { stdio: 'inherit' }).status ?? 1);
const tests = only.length > 0 ? only : ['src/**/*.test.ts', 'e2e/**/*.test.ts'];
const { status } = spawnSync(
  'node',
  ['--test', '--test-timeout=300000', '--test-concurrency=2', '--test-reporter=spec', ...tests],
  { stdio: 'inherit' },
);
process.exitCode = check !== 0 ? check : (status ?? 1);
