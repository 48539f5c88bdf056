import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const native = resolve(import.meta.dirname, '../../native');
const checks = ['-g', '-O1', '-std=c17'];

const sourcesOf = (...folders: readonly string[]): readonly string[] =>
  folders.flatMap((folder) =>
    readdirSync(join(native, folder))
      .filter((file) => file.endsWith('.c'))
      .map((file) => join(native, folder, file)),
  );

/** Whether the compiler at hand has AddressSanitizer and UndefinedBehaviorSanitizer. */
export const hasSanitizers = (): boolean =>
  spawnSync('cc', ['-fsanitize=address,undefined', '-x', 'c', '-o', '/dev/null', '-'], {
    input: 'int main(void) { return 0; }\n',
  }).status === 0;

export interface SanitizedPrograms extends Disposable {
  readonly shimPath: string;
  readonly initPath: string;
}

/**
 * The shim with both sanitizers, and init, which has no libraries where it runs, with the one that needs none. What they
 * find ends the program.
 */
export function buildSanitized(): SanitizedPrograms {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-sanitize-'));
  const build = (name: string, flags: readonly string[], sources: readonly string[]) => {
    const out = join(directory, name);
    execFileSync('cc', [...checks, ...flags, `-I${native}`, '-o', out, ...sources], { stdio: 'pipe' });
    return out;
  };
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    return {
      shimPath: build(
        'gantry-shim',
        ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
        sourcesOf('shim', 'launcher'),
      ),
      initPath: build(
        'gantry-init',
        ['-static', '-fsanitize=undefined', '-fsanitize-undefined-trap-on-error'],
        sourcesOf('init'),
      ),
      [Symbol.dispose]: remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}
