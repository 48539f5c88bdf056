import { parentPort } from 'node:worker_threads';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import type { FromWorker, ToWorker } from './extract-messages.ts';
import { createUnpacker, type Unpacker } from './unpacker.ts';

// A worker thread of extract-pool.ts. It shares the process's fds, so a directory's fd is all it needs.
const port = parentPort;
if (port === null) throw new GantryError('internal', 'extract-worker.ts is started as a worker thread only');
const unpackers = new Map<number, Unpacker>();
const answer = (message: FromWorker): void => port.postMessage(message);

function take(message: ToWorker): void {
  const { id } = message;
  if (message.kind === 'start') {
    unpackers.set(id, createUnpacker(message.job));
    return;
  }
  const unpacker = unpackers.get(id);
  if (message.kind === 'abort') {
    unpacker?.close();
    unpackers.delete(id);
    answer({ id, kind: 'aborted' });
  } else if (unpacker === undefined)
    return; // it failed, and said so
  else if (message.kind === 'write') {
    unpacker.write(new Uint8Array(message.bytes, 0, message.length));
    port?.postMessage({ id, kind: 'written', bytes: message.bytes } satisfies FromWorker, [message.bytes]);
  } else if (message.kind === 'finish') {
    const extracted = unpacker.finish();
    if (unpacker.complete === undefined) unpackers.delete(id);
    answer({ id, kind: 'finished', extracted });
  } else {
    unpacker.complete?.(message.lowerTrees);
    unpackers.delete(id);
    answer({ id, kind: 'completed' });
  }
}

port.on('message', (message: ToWorker) => {
  try {
    take(message);
  } catch (error) {
    unpackers.get(message.id)?.close();
    unpackers.delete(message.id);
    const { kind, code } = isGantryError(error) ? error : { kind: 'internal' as const, code: 'internal' };
    answer({ id: message.id, kind: 'failed', error: { kind, code, message: messageOf(error) } });
  }
});
