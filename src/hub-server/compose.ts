import { readFileSync } from 'node:fs';
import { Server as TlsServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { createRegistryClient } from '#distribution/index.ts';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import {
  collectGarbage,
  createAccess,
  createAccessTokens,
  createAccounts,
  createAuditLog,
  createBlobs,
  createBoard,
  createCredentials,
  createInvitations,
  createKeyedLock,
  createManifests,
  createMirrors,
  createOrganisations,
  createPersonalTokens,
  createPullCounter,
  createQuotas,
  createRepositories,
  createRoles,
  createTags,
  createUploads,
  createWebhooks,
} from '#registry/index.ts';
import { createHubServer } from '#registry-http/index.ts';
import type { HubOptions } from './options.ts';
import { holdCollecting, holdServing, openStorage, type Storage } from './storage.ts';

export interface Hub {
  /** Where it answers, e.g. `http://127.0.0.1:5000`. */
  readonly url: string;
  /** Reads certificate and key anew; connections that are open keep theirs. */
  reloadTls(): void;
  /** Takes no more, lets what is underway end, for at most twenty seconds. */
  close(): Promise<void>;
}

const collectEvery = 3600_000;
const flushEvery = 5000;
/** How long requests that are underway may go on when the hub ends, in milliseconds. */
const drainFor = 20_000;

/** One line for people, with the same as fields for programs. */
export type Log = (level: string, text: string, fields?: Readonly<Record<string, string | number>>) => void;

/** Wires the whole hub, in reading order, and listens. */
export async function startHub(options: HubOptions, log: Log): Promise<Hub> {
  const onError = (error: unknown, about: string) =>
    log('error', `${about}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  const tls = options.tls === undefined ? undefined : readTls(options.tls);

  const storage = await openStorage(options.storage);
  const held = holdServing(options.storage);
  const { db, store } = storage;
  const lock = createKeyedLock();

  const accounts = createAccounts({ db });
  const credentials = createCredentials({ db, accounts });
  const personalTokens = createPersonalTokens({ db, accounts });
  const tokens = await createAccessTokens({ db, accounts, personalTokens });
  const invitations = createInvitations({ db });
  const organisations = createOrganisations({ db });
  const repositories = createRepositories({ db });
  const access = createAccess({ accounts, repositories, roles: createRoles({ db }) });
  const quotas = createQuotas({ db });
  const blobs = createBlobs({ db, store, repositories, quotas, lock });
  const uploads = createUploads({ db, store, blobs, quotas });
  const manifests = createManifests(
    { db, store, repositories, quotas, lock },
    { sparseIndexes: options.sparseIndexes },
  );
  const tags = createTags({ db });
  const pulls = createPullCounter({ db });
  const board = createBoard({ db });
  const audit = createAuditLog({ db });
  const webhooks = createWebhooks({ db });
  const client = createRegistryClient();
  const onStale = (name: string, why: string) => log('warn', `${name} is given as it was: ${why}`);
  const mirrors = createMirrors({ db, accounts, repositories, manifests, blobs, store, client, onStale });

  const app = createHubServer(
    {
      accounts,
      credentials,
      personalTokens,
      invitations,
      organisations,
      tokens,
      access,
      quotas,
      repositories,
      blobs,
      uploads,
      manifests,
      tags,
      pulls,
      board,
      audit,
      webhooks,
      mirrors,
      ready: () => lackOf(storage),
      mirrorHosts: options.mirrorHosts,
      signUp: options.signUp,
      pages: fileURLToPath(new URL('../../build/web/hub', import.meta.url)),
      onError,
    },
    { tls, trustProxy: options.trustProxy },
  );
  if (options.logLevel === 'debug') logRequests(app, log);
  const url = await listen(app, options);
  log('info', `${storage.place}, sign-up ${options.signUp}`);

  const stopping = new AbortController();
  const collect = async () => {
    try {
      await using _held = await holdCollecting(storage);
      const { blobs: freed, bytes } = await collectGarbage(
        { db, store, uploads, credentials },
        { signal: stopping.signal },
      );
      await audit.sweep();
      if (freed > 0) log('info', `freed ${freed} blobs, ${bytes} bytes`);
    } catch (error) {
      if (isGantryError(error, 'conflict')) log('info', error.message);
      else onError(error, 'collecting garbage');
    }
  };
  let collecting = collect();
  const collector = setInterval(() => {
    collecting = collecting.then(collect);
  }, collectEvery);
  const flush = () => pulls.flush().catch((error: unknown) => onError(error, 'counting pulls'));
  const flusher = setInterval(() => void flush(), flushEvery);

  const reloadTls = () => {
    if (options.tls === undefined) return;
    try {
      const server: unknown = app.server;
      if (server instanceof TlsServer) server.setSecureContext(readTls(options.tls));
      log('info', `certificate ${options.tls.cert} read anew`);
    } catch (error) {
      log('error', `the certificate stays as it was: ${messageOf(error)}`);
    }
  };

  return {
    url,
    reloadTls,
    async close() {
      clearInterval(collector);
      clearInterval(flusher);
      stopping.abort();
      const deadline = setTimeout(() => app.server.closeAllConnections(), drainFor);
      const idle = setInterval(() => app.server.closeIdleConnections(), 100);
      await app.close();
      clearTimeout(deadline);
      clearInterval(idle);
      await webhooks.settle();
      client[Symbol.dispose]();
      await collecting;
      await flush();
      held[Symbol.dispose]();
      await storage[Symbol.asyncDispose]();
    },
  };
}

/** Tells of each request that was answered. */
function logRequests(app: ReturnType<typeof createHubServer>, log: Log): void {
  app.addHook('onResponse', async ({ ip, method, url: asked }, { statusCode: status, elapsedTime }) =>
    log('debug', `${ip} ${method} ${asked} ${status} ${elapsedTime.toFixed(1)} ms`, {
      address: ip,
      method,
      url: asked,
      status,
      milliseconds: Math.round(elapsedTime),
    }),
  );
}

async function listen(app: ReturnType<typeof createHubServer>, { host, port, tls }: HubOptions): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw new GantryError(
      'unavailable',
      `cannot listen on ${host}:${port}: ${messageOf(error)}; choose another --listen`,
      {
        cause: error,
      },
    );
  }
  const address = app.server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${bound}`;
}

const readTls = ({ cert, key }: { readonly cert: string; readonly key: string }) => ({
  cert: readFile('--tls-cert', cert),
  key: readFile('--tls-key', key),
});

/** Why the hub could not serve at this moment. */
async function lackOf({ db, store }: Storage): Promise<string | undefined> {
  try {
    await db.check();
    await store.check();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function readFile(flag: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new GantryError('invalid', `${flag} ${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
