import { once } from 'node:events';
import type { Duplex, Readable } from 'node:stream';
import type { ContextOffer } from '#builder/index.ts';
import { GantryError, throwIfAborted } from '#errors/index.ts';

/** A context that a client is sending; `done` lets its call end. */
interface Upload {
  readonly tar: Readable;
  readonly done: () => void;
}

/**
 * What a client brings to one build on calls of their own, beside the build's: secrets (so that they are in no URL and no
 * header, which get logged), named contexts, its ssh agent; and what it takes away, the files of `--output`. Held in
 * memory only, by a name that the client chose and nobody can guess.
 */
export interface ClientSession {
  secrets: Readonly<Record<string, Uint8Array>>;
  /** Keeps what was offered of a context until its build takes it. */
  offer(offer: ContextOffer): void;
  /** @throws GantryError invalid where there was none */
  takeOffer(): ContextOffer;
  /** A context that is being sent, or that will be. */
  upload(name: string, signal: AbortSignal): Promise<Readable>;
  /** Takes a context in; resolves when it was read or is not wanted. */
  receive(name: string, tar: Readable): Promise<void>;
  /** A connection to the client's agent, which waits for one if the client has none open. */
  agent(id: string): Duplex;
  offerAgent(id: string, socket: Duplex): void;
  /** Hands an archive over to the client, under a name; resolves when it has it all. */
  deliver(name: string, tar: Readable, signal: AbortSignal): Promise<void>;
  collect(name: string): Promise<Readable>;
  /** The build is over: what waits is let go. */
  close(): void;
}

const idle = 120_000;
const name = /^[A-Za-z0-9_-]{16,128}$/;

/** The sessions of the clients that build now. One that no build takes up goes after two minutes. */
export function createClientSessions(connectAgent: () => { near: Duplex; far: Duplex }) {
  const sessions = new Map<string, ClientSession>();
  return {
    /** @throws GantryError invalid for a name that is too short to be a secret */
    get(id: string): ClientSession {
      if (!name.test(id))
        throw new GantryError('invalid', 'a build session is named by 16 to 128 letters, digits, - and _');
      const known = sessions.get(id);
      if (known !== undefined) return known;
      const session = createSession(connectAgent, () => sessions.delete(id));
      sessions.set(id, session);
      return session;
    },
  };
}

export type ClientSessions = ReturnType<typeof createClientSessions>;

function createSession(connectAgent: () => { near: Duplex; far: Duplex }, forget: () => void): ClientSession {
  const uploads = new Map<string, PromiseWithResolvers<Upload>>();
  const waitingSockets = new Map<string, Duplex[]>();
  const waitingAgents = new Map<string, Duplex[]>();
  const outputs = new Map<string, PromiseWithResolvers<Readable>>();
  const outputOf = (output: string) => {
    const found = outputs.get(output) ?? Promise.withResolvers<Readable>();
    outputs.set(output, found);
    return found;
  };
  const closed = Promise.withResolvers<never>();
  closed.promise.catch(() => undefined);
  const uploadOf = (context: string) => {
    const upload = uploads.get(context) ?? Promise.withResolvers<Upload>();
    uploads.set(context, upload);
    return upload;
  };
  const list = (map: Map<string, Duplex[]>, id: string) => {
    const found = map.get(id) ?? [];
    map.set(id, found);
    return found;
  };
  const join = (near: Duplex, socket: Duplex) => {
    near.pipe(socket).pipe(near);
    near.once('close', () => socket.destroy());
    socket.once('close', () => near.destroy());
  };
  let offered: ContextOffer | undefined;
  const forgetOffer = () => {
    // What is left of it on the disk goes with the next start.
    void Promise.resolve(offered?.[Symbol.asyncDispose]()).catch(() => undefined);
    offered = undefined;
  };
  const close = () => {
    clearTimeout(timer);
    forgetOffer();
    forget();
    session.secrets = {};
    closed.reject(new GantryError('not-found', 'the build is over'));
    for (const sockets of [...waitingSockets.values(), ...waitingAgents.values()])
      for (const socket of sockets) socket.destroy();
  };
  const timer = setTimeout(close, idle);
  timer.unref();
  const session: ClientSession = {
    secrets: {},
    offer(offer) {
      forgetOffer();
      offered = offer;
    },
    takeOffer() {
      if (offered === undefined)
        throw new GantryError('invalid', 'no list of a context came before it in this session');
      return offered;
    },
    async upload(context, signal) {
      clearTimeout(timer);
      throwIfAborted(signal);
      const { tar, done } = await Promise.race([uploadOf(context).promise, closed.promise]);
      tar.once('close', done);
      return tar;
    },
    async receive(context, tar) {
      const finished = Promise.withResolvers<void>();
      uploadOf(context).resolve({ tar, done: finished.resolve });
      tar.once('close', finished.resolve);
      await Promise.race([finished.promise, closed.promise.catch(() => undefined)]);
    },
    agent(id) {
      const { near, far } = connectAgent();
      const socket = list(waitingSockets, id).shift();
      if (socket === undefined) list(waitingAgents, id).push(far);
      else join(far, socket);
      return near;
    },
    offerAgent(id, socket) {
      const agent = list(waitingAgents, id).shift();
      if (agent === undefined) list(waitingSockets, id).push(socket);
      else join(agent, socket);
    },
    async deliver(output, tar, signal) {
      clearTimeout(timer);
      outputOf(output).resolve(tar);
      try {
        await once(tar, 'close', { signal });
      } catch (error) {
        throwIfAborted(signal);
        throw error;
      }
    },
    collect: (output) => Promise.race([outputOf(output).promise, closed.promise]),
    close,
  };
  return session;
}
