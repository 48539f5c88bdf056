import assert from 'node:assert/strict';
import type { Outcome } from './program.ts';

/** A command line in a test: what must work, and what must be refused. */
export interface Commands {
  /** What it prints, without the last line's end. */
  ok(...args: string[]): Promise<string>;
  /** What it says on stderr. */
  refused(...args: string[]): Promise<string>;
}

/** `call` is read at each call, so that it may be made before there is an engine. */
export function commandsOf(call: (args: string[]) => Promise<Outcome>): Commands {
  return {
    async ok(...args) {
      const { code, stdout, stderr } = await call(args);
      assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
      return stdout.trim();
    },
    async refused(...args) {
      const { code, stderr } = await call(args);
      assert.notEqual(code, 0, `${args.join(' ')} was not refused`);
      return stderr;
    },
  };
}
