import { readFile } from 'node:fs/promises';
import { messageOf, throwIfAborted } from '#errors/index.ts';
import { checkLayer, type Findings, type Repair, type Tell } from './check-layer.ts';
import type { Deps } from './deps.ts';
import { hold } from './hold.ts';
import { type ImageDocument, matches } from './image-document.ts';
import type { CheckOptions, StoreProblem, StoreReport } from './images.ts';

/**
 * Verifies the store while it is in use: rows against each other, documents and layer blobs against their digests, what a
 * blob decompresses to against the diff id, and each unpacked layer, entry by entry, against its blob unpacked once more.
 * With `repair` it puts right what it can: a document from its row, a blob from the layer that was unpacked of it where
 * packing that gives the same bytes, a layer from its blob; a blob that is beyond repair goes, so that a pull or load brings it
 * again. What no image and nothing else has any use for is removed.
 */
export async function check(deps: Deps, options: CheckOptions): Promise<StoreReport> {
  const { content, driver, table } = deps;
  const { signal, repair = false, quick = false } = options;
  const problems: StoreProblem[] = [];
  const tell = async (kind: StoreProblem['kind'], subject: string, problem: string, mend?: Repair) => {
    if (!repair || mend === undefined) {
      problems.push({ kind, subject, problem });
      return;
    }
    try {
      problems.push({ kind, subject, problem, repaired: await mend() });
    } catch (error) {
      problems.push({ kind, subject, problem: `${problem}; not repaired: ${messageOf(error)}` });
    }
  };

  for (const fault of table.faults()) await tell('database', 'gantry.db', fault);

  const documents: ImageDocument[] = [];
  for (const { digest } of table.manifests()) {
    try {
      const document = table.document(digest);
      if (document !== undefined) documents.push(document);
    } catch (error) {
      await tell('image', digest, `its row does not hold what it names: ${messageOf(error)}`);
    }
  }
  const layers = new Map(documents.flatMap(({ chain }) => chain.map((layer) => [layer.chainId, layer] as const)));
  await using _held = await hold(deps, [
    ...documents.flatMap(({ descriptor, manifest }) => [descriptor.digest, manifest.config.digest]),
    ...[...layers.values()].flatMap((layer) => [layer.descriptor.digest, layer.chainId]),
  ]);

  for (const document of documents) {
    throwIfAborted(signal);
    if (!table.holdsManifest(document.descriptor.digest)) continue; // removed meanwhile
    await checkDocuments(deps, document, tell);
  }
  const findings: Findings = { blobs: new Map(), broken: new Set(), unreadable: new Set() };
  for (const layer of layers.values()) {
    throwIfAborted(signal);
    if (!table.usesChain(layer.chainId)) continue;
    await checkLayer(deps, layer, findings, { quick, signal, layerUser: options.layerUser }, tell);
  }

  let blobs = 0;
  for await (const { digest } of content.list()) {
    blobs++;
    if (table.usesBlob(digest) || deps.leases.holders(digest) > 0 || deps.collector.takesUnnamed()) continue;
    await tell('blob', digest, 'no image has it', async () => {
      await deps.collector.blobs([digest]);
      return 'removed';
    });
  }
  const unpacked = new Map<string, string | undefined>();
  for await (const { chainId, parent } of driver.layers()) unpacked.set(chainId, parent);
  for (const [chainId, parent] of unpacked)
    if (parent !== undefined && !unpacked.has(parent) && !layers.has(parent))
      await tell('layer', chainId, `it stands on ${parent}, which is not there`);
  for (const chainId of table.layers())
    if (!layers.has(chainId) && !unpacked.has(chainId) && deps.leases.holders(chainId) === 0)
      await tell('layer', chainId, 'there is a row for it and nothing on the disk', async () => {
        table.dropLayer(chainId);
        return 'row removed';
      });
  await checkStrays(deps, unpacked, options.knownLayers ?? new Set(), tell);

  if ((await readFile(`${content.root}/index.json`, 'utf8').catch(() => '')) !== deps.indexText())
    await tell('index', 'index.json', 'it does not say what the database says', async () => {
      await deps.writeIndex();
      return 'written again';
    });
  return {
    blobs,
    layers: unpacked.size,
    images: new Set(documents.map((d) => d.manifest.config.digest)).size,
    problems,
  };
}

async function checkDocuments(deps: Deps, document: ImageDocument, tell: Tell): Promise<void> {
  const { content } = deps;
  for (const descriptor of [document.descriptor, document.manifest.config]) {
    const found = await content.stat(descriptor.digest);
    const right = found?.size === descriptor.size && matches(await content.read(descriptor.digest), descriptor);
    if (right) continue;
    const what = found === undefined ? 'is missing' : 'has other bytes than its digest says';
    await tell('blob', descriptor.digest, `the ${descriptor.mediaType} of an image ${what}`, async () => {
      await deps.keepDocuments(document, undefined);
      return 'written again from the database';
    });
  }
}

/** Layers that no image, row, other layer or anybody else has. */
async function checkStrays(
  { driver, table, leases }: Deps,
  unpacked: ReadonlyMap<string, string | undefined>,
  known: ReadonlySet<string>,
  tell: Tell,
): Promise<void> {
  const parents = new Set(unpacked.values());
  const strays = [...unpacked.keys()].filter(
    (chainId) =>
      !table.hasLayer(chainId) && !known.has(chainId) && !parents.has(chainId) && leases.holders(chainId) === 0,
  );
  for (const chainId of strays)
    if (await driver.hasLayer(chainId))
      await tell('layer', chainId, 'nothing has any use for it', async () => {
        await driver.removeLayer(chainId);
        return 'removed';
      });
}
