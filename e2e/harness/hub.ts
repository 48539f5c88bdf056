import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gantryProgram, run, startService, stopProcess } from './program.ts';

export interface Hub extends AsyncDisposable {
  /** `127.0.0.1:port`, as it stands before an image's name. */
  readonly address: string;
  readonly root: string;
  addUser(name: string, password: string): Promise<void>;
}

/** A hub of the test's own, with no accounts. */
export async function startHub(more: readonly string[] = []): Promise<Hub> {
  const root = mkdtempSync(join(tmpdir(), 'gantry-hub-'));
  const { child, line } = await startService([
    ...['hub', 'serve', '--listen', '127.0.0.1:0', '--data-root', root],
    ...more,
  ]);
  const address = /https?:\/\/(\S+?)\/?(?:,|\s|$)/.exec(line)?.[1] ?? '';
  return {
    address,
    root,
    async addUser(name, password) {
      const args = ['hub', 'user', 'add', name, '--password-stdin', '--data-root', root];
      const { code, stderr } = await run(gantryProgram, args, { input: password });
      if (code !== 0) throw new Error(`hub user add ${name}: ${stderr}`);
    },
    async [Symbol.asyncDispose]() {
      await stopProcess(child);
      rmSync(root, { recursive: true, force: true });
    },
  };
}
