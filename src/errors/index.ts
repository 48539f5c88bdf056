/** The closed set of error kinds. Every edge (HTTP status, exit code) is a total table over it. */
export type ErrorKind =
  | 'invalid' // the request or input is wrong; retrying the same will fail again
  | 'not-found'
  | 'conflict' // the state of something else forbids it (name taken, in use, already started)
  | 'unauthorized' // who are you
  | 'forbidden' // not yours
  | 'unavailable' // a peer or the kernel cannot do it now; retrying may help
  | 'unsupported' // understood, and not built or not possible on this host
  | 'cancelled' // an AbortSignal fired
  | 'corrupt' // bytes do not match their digest or format
  | 'exhausted' // out of space, addresses, ports, quota
  | 'internal';

export interface GantryErrorOptions {
  /** A stable machine-readable name, e.g. `port-in-use`; matched by code, never by message. */
  readonly code?: string;
  readonly cause?: unknown;
}

/** The one error type: `kind` for the edges, `code` for callers that match, `message` names the value and what to do. */
export class GantryError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;

  constructor(kind: ErrorKind, message: string, options: GantryErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GantryError';
    this.kind = kind;
    this.code = options.code ?? kind;
  }
}

/** Narrows an unknown thrown value to a GantryError, optionally of one kind. */
export function isGantryError(error: unknown, kind?: ErrorKind): error is GantryError {
  return error instanceof GantryError && (kind === undefined || error.kind === kind);
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Throws a `cancelled` GantryError if the signal has fired. */
export function throwIfAborted(signal?: AbortSignal): void {
  if (signal?.aborted) throw new GantryError('cancelled', 'the operation was cancelled', { cause: signal.reason });
}

/** A source that throws `cancelled` as soon as the signal fires, even while it waits for its next item. */
export async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void> {
  if (signal === undefined) {
    yield* source;
    return;
  }
  // Not Promise.race with one promise for the signal: that would keep every item until the end.
  let stopWaiting: () => void = () => undefined;
  const onAbort = (): void => stopWaiting();
  signal.addEventListener('abort', onAbort, { once: true });
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      throwIfAborted(signal);
      const next = await new Promise<IteratorResult<T, unknown>>((resolve, reject) => {
        stopWaiting = () =>
          reject(new GantryError('cancelled', 'the operation was cancelled', { cause: signal.reason }));
        iterator.next().then(resolve, reject);
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    // A source that hangs may never return: it is told to stop, and not waited for.
    void iterator.return?.().catch(() => undefined);
  }
}
