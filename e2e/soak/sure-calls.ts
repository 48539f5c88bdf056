import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../harness/engine.ts';
import type { Outcome, RunOptions } from '../harness/program.ts';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly text: string;
}

/** A daemon that may be killed at any moment, and how to get things done with it all the same. */
export interface KilledDaemon {
  /** How often it has been killed. */
  readonly deaths: () => number;
  /** Kills it with SIGKILL and starts it again. */
  killAndRestart(): Promise<void>;
  /** A call of the API, again and again until a daemon answers it. A call may thus be carried out twice. */
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  /** One call; undefined where a daemon died meanwhile, so that nobody knows whether it was carried out. */
  callOnce(method: string, path: string): Promise<Answer | undefined>;
  /** A command's outcome; undefined where a daemon died meanwhile, so that it says nothing. */
  command(args: readonly string[], options?: RunOptions): Promise<Outcome | undefined>;
  /** A command's outcome, again and again until no daemon died meanwhile. */
  sureCommand(args: readonly string[]): Promise<Outcome>;
}

const broken = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT']);

export function killedDaemon(engine: Engine): KilledDaemon {
  let deaths = 0;
  let alive = true;
  let gone = false;
  /** Where no daemon comes any more nobody waits for one. */
  const mustCome = () => {
    if (gone) throw new Error('the daemon did not start again');
  };
  const command: KilledDaemon['command'] = async (args, options) => {
    // Nothing is begun while none is there: its failure might be seen only when the next one is.
    if (!alive) return undefined;
    const before = deaths;
    const outcome = await engine.gantry(args, options);
    return before === deaths && alive ? outcome : undefined;
  };
  const once = async (method: string, path: string, body?: unknown): Promise<Answer | undefined> => {
    try {
      return await engine.api(method, path, body);
    } catch (error) {
      if (!broken.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      mustCome();
      await sleep(20);
      return undefined;
    }
  };
  return {
    deaths: () => deaths,
    async killAndRestart() {
      alive = false;
      deaths++;
      await engine.kill('SIGKILL');
      await engine.restart().catch((error: unknown) => {
        gone = true;
        throw error;
      });
      alive = true;
    },
    async call(method, path, body) {
      for (;;) {
        const answer = await once(method, path, body);
        if (answer !== undefined) return answer;
      }
    },
    callOnce: once,
    command,
    async sureCommand(args) {
      for (;;) {
        const outcome = await command(args);
        if (outcome !== undefined) return outcome;
        mustCome();
        await sleep(20);
      }
    },
  };
}
