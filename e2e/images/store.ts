import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { type ContentStore, createContentStore } from '#content/index.ts';
import { createRegistryClient, type RegistryClientOptions } from '#distribution/index.ts';
import { createImages, type Images, type ProgressEvent } from '#images/index.ts';
import { type DriverName, type GraphDriver, graphDrivers, isDriverName } from '#snapshots/index.ts';

export interface Store extends AsyncDisposable {
  readonly root: string;
  readonly images: Images;
  readonly content: ContentStore;
  readonly driver: GraphDriver;
  /** Digests of all blobs. */
  blobs(): Promise<string[]>;
  layers(): Promise<string[]>;
  staged(): string[];
  /** Closes the database and opens everything again on the same root, as a daemon that starts. */
  reopen(): Promise<Store>;
  /** Closes it and leaves its files. */
  close(): void;
}

const { GANTRY_TEST_STORAGE: asked = 'overlay2' } = process.env;
/** What the tests run on that name none, as in harness/engine.ts. */
const usual = isDriverName(asked) ? asked : 'overlay2';

/** A whole image store in a root of its own, on the real driver. */
export async function openStore(
  options: { readonly driver?: DriverName; readonly root?: string; readonly registry?: RegistryClientOptions } = {},
): Promise<Store> {
  const root = options.root ?? (await mkdtemp(`${tmpdir()}/gantry-images-`));
  const db = new DatabaseSync(`${root}/gantry.db`);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  const content = await createContentStore({ root: `${root}/content`, exclusive: true });
  const name = options.driver ?? usual;
  const driver = await graphDrivers[name]({ root: `${root}/${name}` });
  const registry = createRegistryClient(options.registry);
  const images = await createImages({ db, content, driver, registry });
  let closed = false;
  const close = () => {
    if (closed) return;
    closed = true;
    registry[Symbol.dispose]();
    db.close();
  };
  return {
    root,
    images,
    content,
    driver,
    blobs: async () => (await Array.fromAsync(content.list())).map(({ digest }) => digest).toSorted(),
    layers: async () => (await Array.fromAsync(driver.layers())).map(({ chainId }) => chainId).toSorted(),
    staged: () => (existsSync(content.staging) ? readdirSync(content.staging) : []),
    reopen() {
      close();
      return openStore({ ...options, root });
    },
    close,
    async [Symbol.asyncDispose]() {
      if (closed) return;
      close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Progress as text lines, byte counts left out. */
export function transcript() {
  const lines: string[] = [];
  return {
    lines,
    onProgress({ id, status, current }: ProgressEvent) {
      if (current === undefined) lines.push(id === undefined ? status : `${id}: ${status}`);
    },
  };
}
