import assert from 'node:assert/strict';
import type { Engine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';

/** Where a daemon's inspector listens at a port of its own choice; given to it at its start. */
export const inspectorOptions = '--inspect-port=127.0.0.1:0';

/** Asks a daemon what it holds. */
export interface LiveMemory extends Disposable {
  /** Bytes of what is reachable, on its heap and beside it: unlike the process's size, nothing that waits for a collection. */
  read(): Promise<number>;
}

/** Opens the inspector of a running daemon that was started with {@link inspectorOptions} (Node: SIGUSR1, Chrome DevTools protocol). */
export async function openLiveMemory(engine: Engine): Promise<LiveMemory> {
  const seen = engine.output().length;
  process.kill(engine.pid(), 'SIGUSR1');
  const address = await until(() => /Debugger listening on (ws:\S+)/.exec(engine.output().slice(seen))?.[1]);
  const socket = new WebSocket(address);
  const opened = Promise.withResolvers<void>();
  socket.addEventListener('open', () => opened.resolve());
  socket.addEventListener('error', () => opened.reject(new Error(`${address} cannot be reached`)));
  await opened.promise;
  let last = 0;
  const call = (method: string, params: object = {}): Promise<unknown> => {
    const id = ++last;
    const answered = Promise.withResolvers<unknown>();
    const onMessage = ({ data }: MessageEvent) => {
      const answer = JSON.parse(String(data)) as { id?: number; result?: unknown };
      if (answer.id !== id) return;
      socket.removeEventListener('message', onMessage);
      answered.resolve(answer.result);
    };
    socket.addEventListener('message', onMessage);
    socket.send(JSON.stringify({ id, method, params }));
    return answered.promise;
  };
  return {
    async read() {
      // What a first collection finalizes, a second one frees.
      for (let i = 0; i < 2; i++) await call('HeapProfiler.collectGarbage');
      const expression = '(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())';
      const { result } = (await call('Runtime.evaluate', { expression })) as { result: { value?: unknown } };
      assert.equal(typeof result.value, 'number');
      return Number(result.value);
    },
    [Symbol.dispose]: () => socket.close(),
  };
}
