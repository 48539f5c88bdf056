import {
  type EngineClient,
  type HijackedConnection,
  resultOf,
  usualDetachKeys,
  type WaitResult,
} from '#client/index.ts';
import { isGantryError } from '#errors/index.ts';
import { attachStreams } from './attached-streams.ts';
import type { Streams } from './container-body.ts';
import { Failure } from './failure.ts';
import { writeError } from './output.ts';
import { proxySignals } from './signal-proxy.ts';
import { followTerminalSize } from './terminal-size.ts';

export interface AttachTarget {
  readonly id: string;
  readonly tty: boolean;
  readonly autoRemove: boolean;
}

export interface AttachContainerOptions {
  readonly streams: Streams;
  /** Empty: ctrl-p,ctrl-q. */
  readonly detachKeys: string;
  readonly proxySignals: boolean;
  /** Starts the container; called once its streams are joined and its exit is waited for, so that nothing is missed. */
  readonly start?: () => Promise<void>;
  /** The engine may be asked for all of it at once, which is quicker; an error of the start goes through this. */
  readonly startFailure?: (error: unknown) => unknown;
}

/**
 * Joins a container's streams with ours until it ends (its exit code) or the person detaches: 0 for a
 * container started here, else a Failure, as Docker has it.
 */
export async function attachToContainer(
  engine: EngineClient,
  { id, tty, autoRemove }: AttachTarget,
  { streams, detachKeys, proxySignals: proxied, start, startFailure }: AttachContainerOptions,
): Promise<number> {
  if (startFailure !== undefined && !tty && (streams.stdin || streams.stdout || streams.stderr)) {
    const code = await startOverOne(engine, id, { streams, proxied, startFailure });
    if (code !== undefined) return code;
  }
  const [connection, waiting] = await Promise.all([
    streams.stdin || streams.stdout || streams.stderr
      ? engine.hijack(`/containers/${id}/attach`, {
          query: { stream: true, ...streams, detachKeys: detachKeys || undefined },
        })
      : undefined,
    engine.stream('POST', `/containers/${id}/wait`, {
      query: { condition: start === undefined ? 'not-running' : autoRemove ? 'removed' : 'next-exit' },
    }),
  ]);
  const exit = exitOf(waiting.body);
  exit.catch(() => {}); // told where it is awaited
  const undo: (() => void)[] = [];
  try {
    const attached =
      connection && attachStreams(connection, { stdin: streams.stdin, tty, detachKeys: detachKeys || usualDetachKeys });
    if (attached !== undefined) undo.push(attached.close);
    if (proxied && !tty)
      undo.push(proxySignals((signal) => engine.json('POST', `/containers/${id}/kill`, { query: { signal } })));
    try {
      await start?.();
    } catch (error) {
      attached?.close();
      if (autoRemove) await exit.catch(() => {}); // gone when the person reads the message
      throw error;
    }
    if (tty)
      undo.push(
        followTerminalSize((size) => engine.json('POST', `/containers/${id}/resize`, { query: { ...size } }), {
          redraw: start === undefined,
        }),
      );
    if ((await attached?.done) === 'detached') {
      attached?.close();
      if (start === undefined) throw new Failure('read escape sequence', 1);
      return 0;
    }
    const { StatusCode, Error: failure } = await exit;
    attached?.close();
    if (failure) writeError(`${failure.Message}\n`);
    return StatusCode;
  } finally {
    for (const step of undo) step();
  }
}

interface OverOne {
  readonly streams: Streams;
  readonly proxied: boolean;
  readonly startFailure: (error: unknown) => unknown;
}

/** Attach, wait and start over one connection, which our own engine knows; undefined where that is not to be had. */
async function startOverOne(
  engine: EngineClient,
  id: string,
  { streams, proxied, startFailure }: OverOne,
): Promise<number | undefined> {
  const kill = (signal: string) => engine.json('POST', `/containers/${id}/kill`, { query: { signal } });
  const unproxy = proxied ? proxySignals(kill) : () => {};
  try {
    let connection: HijackedConnection;
    try {
      connection = await engine.hijack(`/gantry/containers/${id}/start`, { query: { ...streams } });
    } catch (error) {
      if (isGantryError(error, 'not-found')) return undefined;
      throw startFailure(error);
    }
    const attached = attachStreams(connection, { stdin: streams.stdin, tty: false, detachKeys: '', tellsEnd: true });
    try {
      await attached.done;
      const { StatusCode, Error: failure } = resultOf(attached.end(), startFailure);
      if (failure) writeError(`${failure.Message}\n`);
      return StatusCode;
    } finally {
      attached.close();
    }
  } finally {
    unproxy();
  }
}

/** Reads the answer of `wait`, which comes when the container has ended. */
async function exitOf(body: AsyncIterable<Buffer>): Promise<WaitResult> {
  let answer = '';
  for await (const chunk of body) answer += chunk.toString();
  return JSON.parse(answer) as WaitResult;
}
