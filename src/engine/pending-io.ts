import { PassThrough } from 'node:stream';
import type { TaskIo } from '#runtime/index.ts';

/** Streams handed out before the process exists: they begin with it. */
export interface PendingIo {
  readonly io: TaskIo;
  /** Joins the real streams; `undefined` ends them (the process never came to be). */
  bind(io: TaskIo | undefined): void;
}

export function createPendingIo(): PendingIo {
  const stdin = new PassThrough();
  const bound = Promise.withResolvers<TaskIo | undefined>();
  async function* output() {
    const io = await bound.promise;
    if (io !== undefined) yield* io.output;
  }
  return {
    io: {
      stdin,
      output: output(),
      async [Symbol.asyncDispose]() {
        stdin.destroy();
        bound.resolve(undefined);
        const io = await bound.promise;
        await io?.[Symbol.asyncDispose]();
      },
    },
    bind(io) {
      if (io !== undefined) {
        stdin.on('error', () => io.stdin.destroy());
        io.stdin.on('error', () => stdin.destroy());
        stdin.pipe(io.stdin);
      }
      bound.resolve(io);
    },
  };
}
