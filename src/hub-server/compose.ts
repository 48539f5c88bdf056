import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createContentStore } from '#content/index.ts';
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
  createOrganisations,
  createPersonalTokens,
  createPullCounter,
  createQuotas,
  createRepositories,
  createRoles,
  createTags,
  createUploads,
} from '#registry/index.ts';
import { createHubServer } from '#registry-http/index.ts';
import { holdCollecting, holdDataRoot, openDataRoot } from './data-root.ts';
import type { HubOptions } from './options.ts';

export interface Hub {
  /** Where it answers, e.g. `http://127.0.0.1:5000`. */
  readonly url: string;
  close(): Promise<void>;
}

const collectEvery = 3600_000;
const flushEvery = 5000;

/** Wires the whole hub, in reading order, and listens. */
export async function startHub(options: HubOptions, log: (level: string, text: string) => void): Promise<Hub> {
  const { dataRoot } = options;
  const onError = (error: unknown, about: string) =>
    log('error', `${about}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  const tls =
    options.tls === undefined
      ? undefined
      : { cert: readFile('--tls-cert', options.tls.cert), key: readFile('--tls-key', options.tls.key) };

  const db = openDataRoot(dataRoot);
  const held = holdDataRoot(dataRoot);
  const content = await createContentStore({ root: `${dataRoot}/content` });
  const lock = createKeyedLock();

  const accounts = createAccounts({ db });
  const credentials = createCredentials({ db, accounts });
  const personalTokens = createPersonalTokens({ db, accounts });
  const tokens = createAccessTokens({ db, accounts, personalTokens });
  const invitations = createInvitations({ db });
  const organisations = createOrganisations({ db });
  const repositories = createRepositories({ db });
  const access = createAccess({ accounts, repositories, roles: createRoles({ db }) });
  const quotas = createQuotas({ db });
  const blobs = createBlobs({ db, content, repositories, quotas, lock });
  const uploads = createUploads({ db, content, blobs, quotas });
  const manifests = createManifests(
    { db, content, repositories, quotas, lock },
    { sparseIndexes: options.sparseIndexes },
  );
  const tags = createTags({ db });
  const pulls = createPullCounter({ db });
  const board = createBoard({ db });
  const audit = createAuditLog({ db });

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
      signUp: options.signUp,
      pages: fileURLToPath(new URL('../../build/web/hub', import.meta.url)),
      onError,
    },
    { tls, trustProxy: options.trustProxy },
  );
  app.addHook('onResponse', async (request, reply) => {
    log(
      'debug',
      `${request.ip} ${request.method} ${request.url} ${reply.statusCode} ${reply.elapsedTime.toFixed(1)} ms`,
    );
  });
  const url = await listen(app, options);
  log('info', `data root ${dataRoot}, sign-up ${options.signUp}`);

  const stopping = new AbortController();
  const collect = async () => {
    try {
      using _held = holdCollecting(dataRoot);
      const { blobs: freed, bytes } = await collectGarbage(
        { db, content, uploads, credentials },
        { signal: stopping.signal },
      );
      audit.sweep();
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
  const flusher = setInterval(() => pulls.flush(), flushEvery);

  return {
    url,
    async close() {
      clearInterval(collector);
      clearInterval(flusher);
      stopping.abort();
      await app.close();
      await collecting;
      pulls.flush();
      held[Symbol.dispose]();
      db.close();
    },
  };
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

function readFile(flag: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new GantryError('invalid', `${flag} ${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
