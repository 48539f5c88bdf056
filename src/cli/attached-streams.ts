import { once } from 'node:events';
import {
  createDetachWatch,
  demultiplex,
  type HijackedConnection,
  type ProcessEnd,
  parseDetachKeys,
  parseProcessEnd,
} from '#client/index.ts';
import { writeError, writeOut } from './output.ts';
import { standardInput } from './standard-input.ts';
import { enterRawMode, isTerminal } from './terminal.ts';

export interface AttachOptions {
  readonly stdin: boolean;
  /** The process has a terminal: its output is one raw stream, ours goes into raw mode. */
  readonly tty: boolean;
  readonly detachKeys: string;
  /** The connection promises to tell the process's end (`ProcessEnd`). */
  readonly tellsEnd?: boolean;
}

/** A process's streams joined with ours. */
export interface AttachedStreams {
  /** Resolves when the output has ended, or the person typed the detach keys. */
  readonly done: Promise<'ended' | 'detached'>;
  /** The process's end, where the connection tells it after the output; known when `done` is. Else undefined. */
  readonly end: () => ProcessEnd | undefined;
  /** Gives the terminal back; called in any case. */
  close(): void;
}

/**
 * Joins a hijacked connection with stdin, stdout and stderr. The end of stdin is passed on as a half-close, so that the
 * process reads end-of-file while its output still comes.
 */
export function attachStreams(connection: HijackedConnection, options: AttachOptions): AttachedStreams {
  const { socket } = connection;
  const restore = options.stdin && options.tty && isTerminal(0) ? enterRawMode({ output: true }) : () => {};
  const detached = Promise.withResolvers<'detached'>();
  const input = options.stdin ? passInput(connection, options, detached.resolve) : undefined;
  if (!options.stdin) socket.end();
  let end: ProcessEnd | undefined;
  const onEnd = options.tellsEnd
    ? (payload: string) => {
        end = parseProcessEnd(payload);
      }
    : undefined;
  const output = async (): Promise<'ended'> => {
    if (options.tty) for await (const data of socket as AsyncIterable<Buffer>) writeOut(data);
    else
      for await (const { stream, data } of demultiplex(socket as AsyncIterable<Buffer>, onEnd))
        if (stream === 'stdout') writeOut(data);
        else writeError(data);
    return 'ended';
  };
  const done = Promise.race([output(), detached.promise]);
  done.catch(() => {}); // closed before it was awaited, where the process did not even start
  return {
    done,
    end: () => end,
    close() {
      input?.stop();
      socket.destroy();
      restore();
    },
  };
}

function passInput(
  { socket }: HijackedConnection,
  { tty, detachKeys }: AttachOptions,
  detach: (how: 'detached') => void,
) {
  const watch = tty && isTerminal(0) ? createDetachWatch(parseDetachKeys(detachKeys)) : undefined;
  const stdin = standardInput();
  const onData = (data: Buffer) => {
    const typed = watch === undefined ? data : watch.feed(data);
    if (typed === undefined) {
      stop();
      detach('detached');
    } else if (typed.length > 0 && !socket.destroyed && !socket.write(typed)) {
      stdin.pause();
      void once(socket, 'drain').then(
        () => stdin.resume(),
        () => {}, // the connection is gone: its reader ends the session
      );
    }
  };
  const onEnd = () => socket.end();
  const stop = () => {
    stdin.off('data', onData).off('end', onEnd).off('error', onEnd);
    stdin.pause();
  };
  stdin.on('data', onData).on('end', onEnd).on('error', onEnd);
  return { stop };
}
