import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import type { Writable } from 'node:stream';
import type { StepRunner } from '#builder/index.ts';
import { GantryError } from '#errors/index.ts';

/** The mount lives and dies with the process's own namespace; 3 arguments, then the command. */
const script = `mount -t overlay gantry-step -o "$1" "$2" && cd "$2" && root=$2 cwd=$3 && shift 3 &&
exec chroot $CHROOT_USER "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$cwd" "$@"`;

export interface ChrootSteps extends StepRunner {
  readonly ran: string[];
  /** Steps' stdin ends only once so many run at the same time. */
  together: number;
  /** Gives each step a number of its own in $STAMP. */
  stamp: boolean;
}

/** A step runner without isolation, so that the builder's own behaviour shows without an engine. Counts what it ran. */
export function createChrootSteps(scratch: string): ChrootSteps {
  const target = `${scratch}/step-root`;
  mkdirSync(target, { recursive: true });
  const ran: string[] = [];
  const inputs: Writable[] = [];
  return {
    ran,
    together: 1,
    stamp: false,
    run(step, { onOutput, signal }) {
      const [root] = step.rootfs;
      ran.push(step.args.join(' '));
      const options = (root?.options ?? []).join(',');
      const env = Object.fromEntries(
        ['PATH=/bin', ...(this.stamp ? [`STAMP=${ran.length}`] : []), ...step.env].map((entry) => [
          entry.slice(0, entry.indexOf('=')),
          entry.slice(entry.indexOf('=') + 1),
        ]),
      );
      const user = step.user === '' ? '' : `--userspec=${step.user}`;
      const child = spawn(
        'unshare',
        [
          '--mount',
          '--pid',
          '--fork',
          '--kill-child',
          'sh',
          '-c',
          script,
          'sh',
          options,
          target,
          step.cwd,
          ...step.args,
        ],
        {
          env: { ...env, CHROOT_USER: user, PATH: process.env.PATH },
          stdio: ['pipe', 'pipe', 'pipe'],
          ...(signal && { signal, killSignal: 'SIGKILL' as const }),
        },
      );
      inputs.push(child.stdin);
      if (inputs.length >= this.together) for (const input of inputs.splice(0)) input.end();
      child.stdout.on('data', (data: Buffer) => onOutput('stdout', data));
      child.stderr.on('data', (data: Buffer) => onOutput('stderr', data));
      return new Promise((resolve, reject) => {
        child.once('error', () => undefined);
        child.once('close', (code) => {
          if (signal?.aborted === true) reject(new GantryError('cancelled', 'the step was cancelled'));
          else resolve({ exitCode: code ?? 137 });
        });
      });
    },
  };
}
