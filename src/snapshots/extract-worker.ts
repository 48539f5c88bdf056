import { parentPort } from 'node:worker_threads';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import type { FromWorker, ToWorker } from './extract-messages.ts';
import { createExtractor, type Extractor } from './extractor.ts';

// A worker thread of extract-pool.ts. It shares the process's fds, so a directory's fd is all it needs.
const port = parentPort;
if (port === null) throw new GantryError('internal', 'extract-worker.ts is started as a worker thread only');
const extractors = new Map<number, Extractor>();
const answer = (message: FromWorker): void => port.postMessage(message);

function take(message: ToWorker): void {
  const { id } = message;
  if (message.kind === 'start') {
    extractors.set(id, createExtractor(message.rootFd, message.options));
    return;
  }
  const extractor = extractors.get(id);
  if (message.kind === 'abort') {
    extractor?.close();
    extractors.delete(id);
    answer({ id, kind: 'aborted' });
  } else if (extractor === undefined)
    return; // it failed, and said so
  else if (message.kind === 'write') {
    extractor.write(new Uint8Array(message.bytes));
    answer({ id, kind: 'written' });
  } else {
    const extracted = extractor.finish();
    extractors.delete(id);
    answer({ id, kind: 'finished', extracted });
  }
}

port.on('message', (message: ToWorker) => {
  try {
    take(message);
  } catch (error) {
    extractors.get(message.id)?.close();
    extractors.delete(message.id);
    const { kind, code } = isGantryError(error) ? error : { kind: 'internal' as const, code: 'internal' };
    answer({ id: message.id, kind: 'failed', error: { kind, code, message: messageOf(error) } });
  }
});
