import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { GantryError, messageOf } from '#errors/index.ts';
import type { FromWorker, ToWorker } from './extract-messages.ts';
import type { Extracted } from './extractor.ts';
import type { UnpackJob } from './unpacker.ts';

/** Beside this file, from the sources or built (scripts/build-programs.mjs). */
const workerFile = import.meta.url.endsWith('.ts') ? './extract-worker.ts' : './extract-worker.mjs';

/** One tar that is unpacked in a worker thread. */
export interface Extraction {
  /** A buffer that the worker is done with; undefined where a new one is needed. */
  spare(): ArrayBuffer | undefined;
  /** Hands a buffer's first bytes over; resolves when the worker can take another. @throws GantryError of this or an earlier write */
  write(bytes: ArrayBuffer, length: number): Promise<void>;
  finish(): Promise<Extracted>;
  /** Of an image, after `finish`. */
  complete(lowerTrees: readonly string[]): Promise<void>;
  /** Gives up; resolves when the worker touches nothing any more. Never throws. */
  abort(): Promise<void>;
}

/** So that the next buffer is there when the worker is done with one. */
const BUFFERS_AHEAD = 2;

/** A thread that has had nothing to do for so long is ended: it holds ten megabytes. */
const RETIRES_AFTER_MS = 5_000;

/** What a worker makes is a few small objects for each entry, most of which die at once. */
const maxYoungGenerationSizeMb = 4;

interface PoolWorker {
  readonly worker: Worker;
  retirement: NodeJS.Timeout | undefined;
  readonly extractions: Map<number, (message: FromWorker) => void>;
}

const pool: PoolWorker[] = [];
let lastId = 0;

/** Begins to unpack in the worker that has least to do; a tar at a time goes at the speed of one core. */
export function startExtraction(job: UnpackJob): Extraction {
  const idle = pool.find(({ extractions }) => extractions.size === 0);
  const poolWorker =
    idle ??
    (pool.length < availableParallelism()
      ? addWorker()
      : pool.reduce((a, b) => (a.extractions.size <= b.extractions.size ? a : b)));
  const { worker, extractions } = poolWorker;
  const id = ++lastId;
  let inFlight = 0;
  const spares: ArrayBuffer[] = [];
  /** The last message but `written` that nobody has taken yet; `failed` stays. */
  let answer: Exclude<FromWorker, { kind: 'written' }> | undefined;
  let known = true;
  let wake = Promise.withResolvers<void>();

  worker.ref();
  clearTimeout(poolWorker.retirement);
  extractions.set(id, (message) => {
    if (message.kind === 'written') {
      inFlight--;
      spares.push(message.bytes);
    } else {
      answer = message as typeof answer;
      if (message.kind !== 'finished' || job.kind === 'tree') {
        known = false;
        extractions.delete(id);
        if (extractions.size === 0) rest(poolWorker);
      }
    }
    wake.resolve();
    wake = Promise.withResolvers<void>();
  });
  const send = (message: ToWorker, transfer: ArrayBuffer[] = []): void => worker.postMessage(message, transfer);
  const throwIfFailed = (): void => {
    if (answer?.kind === 'failed')
      throw new GantryError(answer.error.kind, answer.error.message, { code: answer.error.code });
  };
  async function ask<K extends FromWorker['kind']>(message: ToWorker, kind: K): Promise<FromWorker & { kind: K }> {
    throwIfFailed();
    send(message);
    while (answer === undefined) await wake.promise;
    throwIfFailed();
    const given: FromWorker = answer;
    answer = undefined;
    if (given.kind === kind) return given as FromWorker & { kind: K };
    throw new GantryError('internal', `an extraction answered ${given.kind} to ${message.kind}`);
  }

  send({ id, kind: 'start', job });
  return {
    spare: () => spares.pop(),
    async write(bytes, length) {
      throwIfFailed();
      inFlight++;
      send({ id, kind: 'write', bytes, length }, [bytes]);
      while (inFlight >= BUFFERS_AHEAD && answer === undefined) await wake.promise;
      throwIfFailed();
    },
    finish: async () => (await ask({ id, kind: 'finish' }, 'finished')).extracted,
    complete: async (lowerTrees) => void (await ask({ id, kind: 'complete', lowerTrees }, 'completed')),
    async abort() {
      if (!known) return;
      send({ id, kind: 'abort' });
      while (known) await wake.promise;
    },
  };
}

function addWorker(): PoolWorker {
  const worker = new Worker(new URL(workerFile, import.meta.url), {
    resourceLimits: { maxYoungGenerationSizeMb },
  });
  const added: PoolWorker = { worker, retirement: undefined, extractions: new Map() };
  worker.on('message', (message: FromWorker) => added.extractions.get(message.id)?.(message));
  worker.on('error', (error) => {
    clearTimeout(added.retirement);
    pool.splice(pool.indexOf(added), 1);
    for (const [id, tell] of added.extractions)
      tell({ id, kind: 'failed', error: { kind: 'internal', code: 'worker-died', message: messageOf(error) } });
  });
  pool.push(added);
  return added;
}

function rest(idle: PoolWorker): void {
  idle.worker.unref();
  idle.retirement = setTimeout(() => {
    pool.splice(pool.indexOf(idle), 1);
    void idle.worker.terminate();
  }, RETIRES_AFTER_MS).unref();
}
