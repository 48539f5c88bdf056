import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createContentStore } from '#content/index.ts';
import { GantryError, messageOf } from '#errors/index.ts';
import {
  collectGarbage,
  createAccess,
  createAccessTokens,
  createAccounts,
  createBlobs,
  createCredentials,
  createKeyedLock,
  createManifests,
  createRepositories,
  createTags,
  createUploads,
} from '#registry/index.ts';
import { createHubServer } from '#registry-http/index.ts';
import { holdDataRoot, openDataRoot } from './data-root.ts';
import type { HubOptions } from './options.ts';

export interface Hub {
  /** Where it answers, e.g. `http://127.0.0.1:5000`. */
  readonly url: string;
  close(): Promise<void>;
}

const collectEvery = 3600_000;

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
  const tokens = createAccessTokens({ db, accounts });
  const repositories = createRepositories({ db });
  const access = createAccess({ repositories });
  const blobs = createBlobs({ db, content, repositories, lock });
  const uploads = createUploads({ db, content, blobs });
  const manifests = createManifests({ db, content, repositories, lock });
  const tags = createTags({ db });

  const app = createHubServer(
    {
      accounts,
      credentials,
      tokens,
      access,
      repositories,
      blobs,
      uploads,
      manifests,
      tags,
      signUp: options.signUp,
      pages: fileURLToPath(new URL('../../web/hub', import.meta.url)),
      onError,
    },
    tls,
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
  let collecting = Promise.resolve();
  const collect = () => {
    collecting = collectGarbage({ db, content, uploads, credentials, lock }, { signal: stopping.signal }).then(
      ({ blobs, bytes }) => {
        if (blobs > 0) log('info', `freed ${blobs} blobs, ${bytes} bytes`);
      },
      (error: unknown) => onError(error, 'collecting garbage'),
    );
  };
  collect();
  const timer = setInterval(collect, collectEvery);

  return {
    url,
    async close() {
      clearInterval(timer);
      stopping.abort();
      await app.close();
      await collecting;
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
