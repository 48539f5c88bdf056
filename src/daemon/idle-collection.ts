import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const everyMs = 2_000;
const idleBelow = 0.02;
const worthBytes = 4 * 1024 * 1024;

/**
 * Gives memory back while the engine has nothing to do: V8 keeps what a busy minute took until it needs it again, and an
 * engine is idle most of its life. One look every two seconds, one collection after each busy spell; the hot path pays
 * nothing. Ends when disposed of.
 */
export function collectWhenIdle(): Disposable {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: {
    type: 'major';
    execution: 'sync';
    flavor: 'last-resort';
  }) => void;
  let last = performance.eventLoopUtilization();
  let kept = 0;
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    if (utilization > idleBelow || process.memoryUsage().heapTotal < kept + worthBytes) return;
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    kept = process.memoryUsage().heapTotal;
  }, everyMs).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
