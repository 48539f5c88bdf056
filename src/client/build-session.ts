import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { GantryError, isGantryError } from '#errors/index.ts';
import type { EngineClient } from './engine-client.ts';

export interface BuildSessionParts {
  /** By id. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** Named contexts as tars, opened when they are sent. */
  readonly contexts: ReadonlyMap<string, () => AsyncIterable<Uint8Array>>;
  /** Paths of ssh agents' sockets, by id. */
  readonly agents: ReadonlyMap<string, string>;
}

/** What a build brings along beside its call, under a name that nobody can guess. */
export interface BuildSession extends Disposable {
  readonly id: string;
  /** Which entries of a context's list the engine wants the contents of, by where they stand in it. */
  need(key: string, lines: string): Promise<readonly number[]>;
  /** An archive that the build gives, once it has it: the files of the target, or a cache. */
  output(name: 'files' | 'cache'): Promise<AsyncIterable<Uint8Array>>;
  /** Rejects when something could not be sent; resolves never. */
  readonly failed: Promise<never>;
}

/**
 * Opens a session: secrets are sent at once, in a body (never in a URL or header); contexts and connections to an agent
 * as the engine asks for them. Ends with the build, or when it is disposed of.
 */
export async function openBuildSession(engine: EngineClient, parts: BuildSessionParts): Promise<BuildSession> {
  const id = randomBytes(24).toString('hex');
  const base = `/gantry/build/${id}`;
  const stop = new AbortController();
  const { signal } = stop;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  if (parts.secrets.size > 0)
    await engine.text('POST', `${base}/secrets`, {
      json: Object.fromEntries(
        Array.from(parts.secrets, ([name, value]) => [name, Buffer.from(value).toString('base64')]),
      ),
    });
  for (const [name, open] of parts.contexts)
    engine
      .text('POST', `${base}/contexts/${encodeURIComponent(name)}`, { body: open(), signal })
      .catch((error: unknown) => {
        // The engine may not want it, and hang up.
        if (!signal.aborted && isGantryError(error) && error.code !== 'engine-response') failed.reject(error);
      });
  for (const [name, path] of parts.agents)
    offerAgent(engine, `${base}/agents/${encodeURIComponent(name)}`, path, signal);
  return {
    id,
    failed: failed.promise,
    async need(key, lines) {
      const body = (async function* () {
        yield Buffer.from(lines);
      })();
      const { need } = await engine.json<{ need: readonly number[] }>('POST', `${base}/list`, { query: { key }, body });
      return need;
    },
    output: async (name) => (await engine.stream('GET', `${base}/outputs/${name}`, { signal })).body,
    [Symbol.dispose]: () => stop.abort(),
  };
}

/** Keeps one connection ready for the engine; once it is used, it leads to the agent and the next one is opened. */
function offerAgent(engine: EngineClient, url: string, path: string, signal: AbortSignal): void {
  const offer = async () => {
    const { socket } = await engine.hijack(url, { signal });
    signal.addEventListener('abort', () => socket.destroy(), { once: true });
    socket.on('error', () => socket.destroy());
    socket.once('readable', () => {
      if (socket.readableLength === 0) return;
      void offer().catch(() => undefined);
      const agent = connect(path);
      agent.on('error', () => socket.destroy());
      socket.once('close', () => agent.destroy());
      socket.pipe(agent).pipe(socket);
    });
  };
  // Without it a step that needs the agent says so.
  void offer().catch(() => undefined);
}

/** `default`, `id=socket`, `id=key[,key…]`: an agent's socket, or key files for one of its own. @throws GantryError invalid */
export function agentPath(written: string): readonly [id: string, path: string | readonly string[]] {
  const at = written.indexOf('=');
  const id = at < 0 ? written : written.slice(0, at);
  const path = at < 0 ? process.env.SSH_AUTH_SOCK : written.slice(at + 1);
  const files = (path ?? '').split(',');
  const missing = at < 0 ? undefined : files.find((file) => !existsSync(file));
  if (missing !== undefined)
    throw new GantryError('not-found', `--ssh ${written}: there is no socket or key file "${missing}"`);
  if (at >= 0 && files.every((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true))
    return [id || 'default', files];
  if (!path)
    throw new GantryError(
      'invalid',
      `--ssh ${written}: no agent runs (SSH_AUTH_SOCK is not set); start one, or name its socket`,
    );
  return [id || 'default', path];
}
