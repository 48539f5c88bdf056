import type { Task } from '#runtime/index.ts';
import type { Span } from './engine.ts';
import type { PendingIo } from './pending-io.ts';

export interface Ended {
  readonly exitCode: number;
  readonly error?: string;
}

/** What lives in memory beside a container's row while it has a process or somebody waits for it. */
export interface Live {
  task: Task | undefined;
  /** Attachments asked for before the process exists. */
  readonly pending: PendingIo[];
  /** Settles at the next exit, and is then replaced. */
  exited: PromiseWithResolvers<Ended>;
  readonly removed: PromiseWithResolvers<Ended>;
  /** A restart that is due. */
  restart: { readonly timer: NodeJS.Timeout; readonly cancel: () => void } | undefined;
  /** Ends the health probes of the present process. */
  healthMonitor: Disposable | undefined;
  spans: Span[];
}

export interface Lives {
  of(id: string): Live;
  find(id: string): Live | undefined;
  drop(id: string): void;
  /** The steps of a container's last start; of one that is gone already too, for a while. */
  spansOf(id: string): readonly Span[] | undefined;
  all(): Iterable<Live>;
  /** One state change of a container at a time. */
  exclusive<T>(id: string, work: () => Promise<T>): Promise<T>;
}

const remembered = 64;

export function createLives(): Lives {
  const past = new Map<string, readonly Span[]>();
  const lives = new Map<string, Live>();
  const locks = new Map<string, Promise<unknown>>();
  const of = (id: string): Live => {
    const known = lives.get(id);
    if (known !== undefined) return known;
    const entry: Live = {
      task: undefined,
      pending: [],
      exited: Promise.withResolvers(),
      removed: Promise.withResolvers(),
      restart: undefined,
      healthMonitor: undefined,
      spans: [],
    };
    lives.set(id, entry);
    return entry;
  };
  return {
    of,
    find: (id) => lives.get(id),
    all: () => lives.values(),
    drop(id) {
      past.set(id, lives.get(id)?.spans ?? []);
      const [oldest] = past.keys();
      if (past.size > remembered && oldest !== undefined) past.delete(oldest);
      lives.delete(id);
    },
    spansOf: (id) => lives.get(id)?.spans ?? past.get(id),
    exclusive(id, work) {
      const result = (locks.get(id) ?? Promise.resolve()).then(work, work);
      const settled = result.then(
        () => undefined,
        () => undefined,
      );
      locks.set(id, settled);
      void settled.then(() => {
        if (locks.get(id) === settled) locks.delete(id);
      });
      return result;
    },
  };
}
