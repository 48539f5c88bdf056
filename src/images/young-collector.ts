import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { readonly type: 'minor'; readonly execution: 'sync' }) => void;
let collect: Collect | undefined;

const everyBytes = 4 << 20;

/**
 * Buffers that a stream goes through die at once, and V8, to which they are a few small objects, lets some hundred megabytes
 * of them gather. A collection of what is young takes less than a millisecond; one for each 4 MiB keeps the memory flat, and
is faster than new pages from the kernel.
 */
export function createYoungCollector(): { passed(bytes: number): void } {
  let since = 0;
  return {
    passed(bytes) {
      since += bytes;
      if (since < everyBytes) return;
      since = 0;
      if (collect === undefined) {
        setFlagsFromString('--expose-gc');
        collect = runInNewContext('gc') as Collect;
      }
      collect({ type: 'minor', execution: 'sync' });
    },
  };
}
