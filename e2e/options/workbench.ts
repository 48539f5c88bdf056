import assert from 'node:assert/strict';
import type { Engine } from '../harness/engine.ts';
import type { Outcome } from '../harness/program.ts';

/** Ways to ask an engine, and to have it refuse. */
export function workbench(engine: () => Engine) {
  const ok = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await engine().gantry(args);
    assert.equal(code, 0, `gantry ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  return {
    /** Our command line; what it printed. */
    ok,
    /** What a script prints in a container with these flags. */
    inside: (flags: readonly string[], script: string) => ok('run', '--rm', ...flags, 'busybox', 'sh', '-c', script),
    /** A `run` that is to fail. */
    async refused(flags: readonly string[], pattern: RegExp, ...command: readonly string[]): Promise<Outcome> {
      const words = command.length === 0 ? ['true'] : command;
      const outcome = await engine().gantry(['run', '--rm', ...flags, 'busybox', ...words]);
      assert.notEqual(outcome.code, 0, `${flags.join(' ')}: ${outcome.stdout}`);
      assert.match(outcome.stderr, pattern);
      return outcome;
    },
    /** The stock docker client against the same engine. */
    async docker(...args: readonly string[]): Promise<string> {
      const { code, stdout, stderr } = await engine().docker(args);
      assert.equal(code, 0, `docker ${args.join(' ')}: ${stderr}`);
      return stdout;
    },
    async inspect(name: string): Promise<Inspection> {
      const { body } = await engine().api('GET', `/containers/${name}/json`);
      return body as Inspection;
    },
  };
}

export interface Inspection {
  readonly Id: string;
  readonly State: { readonly Pid: number; readonly Status: string };
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly Gantry: { readonly Provenance: Readonly<Record<string, string>> };
}

/** The first of these files of a container's own cgroup: v1's, then v2's. */
export const control = (v1: string, v2: string): string =>
  `cat /sys/fs/cgroup/${v1} 2>/dev/null || cat /sys/fs/cgroup/${v2}`;
