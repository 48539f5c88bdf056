import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { messageOf } from '#errors/index.ts';
import type { Container, Logging } from '../engine.ts';
import { createJournaldSink } from './journald.ts';
import { followLog, type LogPosition, type PlacedRecord } from './log-files.ts';
import { loggingOf } from './log-options.ts';
import type { LogSink } from './log-sink.ts';
import { createSyslogSink } from './syslog.ts';

/**
 * Sends what shims write to their logs on to syslog or the journal. The file is the queue: nothing is held in memory, no
 * container waits for a slow receiver, and what a receiver that is away has not got is sent when it comes back, from where
 * it was, also by the daemon that comes next. What the log rotates away meanwhile is lost, and said.
 */
export interface LogForwarding extends AsyncDisposable {
  /**
   * Begins, or goes on, until `ended` and the rest is sent.
   * @throws GantryError unavailable, where `mustBeThere`, and the receiver is to be on this host and is not
   */
  follow(container: Container, ended: Promise<unknown>, options?: { readonly mustBeThere?: boolean }): void;
  /** Waits until all is sent of a container that has ended, but not for long; then lets it be. */
  finish(id: string): Promise<void>;
}

export interface ForwardingOptions {
  /** The container's own directory, where the place is kept. */
  readonly home: (id: string) => string;
  readonly journalSocket: string;
  readonly onError: (error: unknown, about: string) => void;
}

const firstRetryMs = 100;
const longestRetryMs = 10_000;
/** How often the place is written down while lines come, and how far it stays behind: a receiver that dies takes along what it had not read. */
const noteMs = 200;
const behindMs = 1_000;
const finishMs = 5_000;

/** Writes down how far a log is sent, a while after it was. */
function createPlaceNotes(write: (place: LogPosition) => void) {
  const places: { readonly at: number; readonly place: LogPosition }[] = [];
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const old = places.findLastIndex(({ at }) => at <= Date.now() - behindMs);
    const found = places[old];
    if (found !== undefined) {
      write(found.place);
      places.splice(0, old + 1);
    }
    timer = places.length === 0 ? undefined : setTimeout(look, noteMs);
  };
  return {
    reached(place: LogPosition): void {
      const last = places.at(-1);
      // So many a second are enough.
      if (last !== undefined && Date.now() - last.at < noteMs / 2) places[places.length - 1] = { at: last.at, place };
      else places.push({ at: Date.now(), place });
      timer ??= setTimeout(look, noteMs);
    },
    /** Nothing is under way any more. */
    end(): void {
      clearTimeout(timer);
      const last = places.at(-1);
      if (last !== undefined) write(last.place);
    },
  };
}

interface Forwarder {
  /** Of this life of the container and those before. */
  readonly done: Promise<void>;
  readonly stop: AbortController;
}

export const isForwarded = ({ driver }: Logging): boolean => driver === 'syslog' || driver === 'journald';

export function createLogForwarding(options: ForwardingOptions): LogForwarding {
  const { home, journalSocket, onError } = options;
  const running = new Map<string, Forwarder>();
  const placeFile = (id: string) => `${home(id)}/forwarded.json`;

  const sinkFor = (container: Container, logging: Logging, eager: boolean): LogSink =>
    logging.driver === 'syslog'
      ? createSyslogSink(container, logging, { eager })
      : createJournaldSink(container, logging, { path: journalSocket, eager });

  function readPlace(id: string): LogPosition | undefined {
    try {
      return JSON.parse(readFileSync(placeFile(id), 'utf8')) as LogPosition;
    } catch {
      return undefined; // nothing was sent yet, or the host went down while it was written: all is sent
    }
  }

  function writePlace(id: string, place: LogPosition): void {
    const temporary = `${placeFile(id)}.tmp`;
    try {
      writeFileSync(temporary, JSON.stringify(place));
      renameSync(temporary, placeFile(id));
    } catch (error) {
      rmSync(temporary, { force: true });
      onError(error, `keeping how far the log of ${id} is sent`);
    }
  }

  async function forward(
    container: Container,
    path: string,
    sink: LogSink,
    ended: Promise<unknown>,
    signal: AbortSignal,
  ) {
    const { id } = container;
    const note = createPlaceNotes((place) => writePlace(id, place));
    try {
      const place = readPlace(id);
      const lines = followLog(path, { ...(place === undefined ? {} : { from: place }), until: ended, signal });
      for await (const line of lines) {
        if (line === 'caughtUp') continue;
        if (!(await sendOrWait(container, sink, line, signal))) return;
        note.reached(line.next);
      }
    } finally {
      await sink[Symbol.asyncDispose]();
      note.end();
    }
  }

  /** Tries until it is sent; false where it is to stop. */
  async function sendOrWait(
    container: Container,
    sink: LogSink,
    line: PlacedRecord,
    signal: AbortSignal,
  ): Promise<boolean> {
    let delay = firstRetryMs;
    for (let told = false; !signal.aborted; ) {
      try {
        await sink.send(line, signal);
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        if (!told)
          onError(
            error,
            `sending the log of container ${container.name} (tried again until it works): ${messageOf(error)}`,
          );
        told = true;
      }
      await wait(delay, undefined, { signal }).catch(() => undefined); // aborted
      delay = Math.min(2 * delay, longestRetryMs);
    }
    return false;
  }

  async function settle({ done, stop }: Forwarder, withinMs: number): Promise<void> {
    const timer = setTimeout(() => stop.abort(), withinMs);
    await done;
    clearTimeout(timer);
  }

  return {
    follow(container, ended, { mustBeThere = false } = {}) {
      const { id, logPath } = container;
      const logging = loggingOf(container.options);
      if (!isForwarded(logging) || logPath === undefined) return;
      const sink = sinkFor(container, logging, mustBeThere);
      const before = running.get(id);
      const stop = before?.stop ?? new AbortController();
      const done: Promise<void> = (before?.done ?? Promise.resolve())
        .then(() => forward(container, logPath, sink, ended, stop.signal))
        .catch((error: unknown) => onError(error, `the log of container ${id}`))
        .finally(() => {
          if (running.get(id)?.done === done) running.delete(id);
        });
      running.set(id, { done, stop });
    },
    async finish(id) {
      const forwarder = running.get(id);
      if (forwarder !== undefined) await settle(forwarder, finishMs);
    },
    async [Symbol.asyncDispose]() {
      for (const { stop } of running.values()) stop.abort();
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}
