import { isGantryError } from '#errors/index.ts';
import type { NetworkStore } from '../network-store.ts';
import { askUpstream } from './ask-upstream.ts';
import { createContainerNames } from './container-names.ts';
import { queryId, readQuestion, responseCode, writeRefusal, writeReply } from './dns-message.ts';
import { createHostResolvers } from './host-resolvers.ts';
import { type AnswerQuery, openResolverSockets } from './resolver-sockets.ts';

/** The resolver of each container, in its own network namespace: nobody else can answer for it. */
export interface NameService extends Disposable {
  /** See `Networks.serveNames`. */
  serve(owner: string, pid: number, servers: readonly string[]): Promise<void>;
  stop(owner: string): void;
}

/** Questions of one container that others are asked at the same time; more are refused. */
const MOST_PENDING = 64;
const LARGEST_STREAM_MESSAGE = 65535;

export function createNameService({
  store,
  onError,
}: {
  readonly store: Pick<NetworkStore, 'endpoints' | 'endpointsOf' | 'networks'>;
  readonly onError: (error: unknown, about: string) => void;
}): NameService {
  const names = createContainerNames(store);
  const hostResolvers = createHostResolvers();
  const running = new Map<string, Disposable>();

  function answerer(owner: string, servers: readonly string[]): AnswerQuery {
    let pending = 0;
    return async (query, transport) => {
      const question = readQuestion(query);
      if (question === undefined) {
        const id = queryId(query);
        return id === undefined ? undefined : writeRefusal(id, responseCode.formatError);
      }
      const limit = transport === 'tcp' ? LARGEST_STREAM_MESSAGE : question.datagramLimit;
      const own = names.answer(owner, question);
      if (own !== undefined) return writeReply(query, question, own, limit);
      const failure = () => writeReply(query, question, { code: responseCode.serverFailure }, limit);
      if (!names.mayAskOthers(owner) || pending >= MOST_PENDING) return failure();
      pending++;
      try {
        const upstream = servers.length > 0 ? servers : hostResolvers();
        return (await askUpstream(query, question, upstream, transport)) ?? failure();
      } finally {
        pending--;
      }
    };
  }

  function stop(owner: string): void {
    running.get(owner)?.[Symbol.dispose]();
    running.delete(owner);
  }

  return {
    async serve(owner, pid, servers) {
      stop(owner);
      const about = `the resolver of container ${owner.slice(0, 12)}`;
      try {
        const sockets = await openResolverSockets(pid, answerer(owner, servers), (error) => onError(error, about));
        stop(owner);
        running.set(owner, sockets);
      } catch (error) {
        if (!isGantryError(error, 'not-found')) throw error; // it has ended meanwhile
      }
    },
    stop,
    [Symbol.dispose]() {
      for (const owner of [...running.keys()]) stop(owner);
    },
  };
}
