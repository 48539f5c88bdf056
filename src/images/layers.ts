import type { ContentStore } from '#content/index.ts';
import { GantryError, isGantryError } from '#errors/index.ts';
import type { Descriptor } from '#oci/index.ts';
import type { GraphDriver, LayerWriter } from '#snapshots/index.ts';
import { createFlights, type Joined } from './flights.ts';
import type { ChainLayer } from './image-document.ts';
import type { ImageTable } from './image-table.ts';
import { passLayer } from './layer-pass.ts';
import { findPartial, keepPartial, resumed } from './partial-download.ts';
import type { LayerProgress } from './progress.ts';
import { createKeyedTurns, createTurns, orAborted } from './turns.ts';

const downloadsAtOnce = 3;

type LayerEvent =
  | { readonly say: string }
  | { readonly count: 'Downloading' | 'Extracting'; readonly current: number; readonly total: number };

/**
 * Opens a layer's bytes, from `start` on, somewhere else than in the content store; `again` where what came the first time
 * was not the layer.
 */
export type FetchLayer = (
  descriptor: Descriptor,
  signal: AbortSignal,
  start: number,
  again: boolean,
) => AsyncIterable<Uint8Array>;

export interface EnsureOptions {
  /** Absent: the blob must be in the content store. */
  readonly fetch?: FetchLayer | undefined;
  /** Whether the bytes may be right when they are fetched again. */
  readonly mayTryElsewhere?: boolean | undefined;
  readonly progress?: LayerProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Brings layers in: each blob verified in the content store and each chain unpacked in the graph driver. Work on one
 * chain is shared by all who want it. The caller holds a lease on every digest and chain id.
 */
export function createLayers({
  content,
  driver,
  table,
}: {
  readonly content: ContentStore;
  readonly driver: GraphDriver;
  readonly table: ImageTable;
}) {
  const join = createFlights<LayerEvent>();
  const chainTurn = createKeyedTurns();
  const blobTurn = createKeyedTurns();
  const downloads = createTurns(downloadsAtOnce);

  const sizeOf = async (chainId: string): Promise<number> => {
    for await (const layer of driver.layers()) if (layer.chainId === chainId) return layer.size;
    return 0;
  };

  const holds = async ({ digest, size }: Descriptor): Promise<boolean> => {
    const held = await content.stat(digest);
    if (held !== undefined && held.size !== size)
      throw new GantryError('corrupt', `the blob ${digest} has ${held.size} bytes, its descriptor says ${size}`, {
        code: 'size-mismatch',
      });
    return held !== undefined;
  };

  const prepare = async ({ chainId, parent }: ChainLayer, signal: AbortSignal) => {
    const writer = await driver.prepareLayer(chainId, parent);
    return { writer, unpack: (tar: AsyncIterable<Uint8Array>) => writer.unpack(tar, { signal }) };
  };

  const install = async (
    layer: ChainLayer,
    { fetch, mayTryElsewhere }: EnsureOptions,
    parentTask: Promise<void>,
    emit: (event: LayerEvent) => void,
    signal: AbortSignal,
  ): Promise<void> => {
    const { descriptor, diffId, chainId } = layer;
    const { digest, size: total } = descriptor;
    const known = table.diffIdOf(digest);
    if (known !== undefined && known !== diffId)
      throw new GantryError(
        'corrupt',
        `the layer ${digest} unpacks to ${known}, and the image's config says ${diffId}`,
        { code: 'diff-id-mismatch' },
      );
    const leaveChain = await chainTurn(chainId, signal);
    let writer: LayerWriter | undefined;
    let unpackedSize: number | undefined;
    try {
      const unpacked = await driver.hasLayer(chainId);
      if (unpacked && known !== undefined && (await holds(descriptor))) {
        if (!table.hasLayer(chainId)) table.putLayer(chainId, await sizeOf(chainId));
        emit({ say: 'Already exists' });
        return;
      }
      emit({ say: 'Pulling fs layer' });
      const leaveBlob = await blobTurn(digest, signal);
      try {
        if (!(await holds(descriptor))) {
          if (fetch === undefined)
            throw new GantryError(
              'corrupt',
              `the layer ${digest} is not in the content store; pull or load the image again`,
              {
                code: 'layer-missing',
              },
            );
          const leaveDownloads = await downloads.enter(signal);
          try {
            for (let taken = false, again = false; !taken; ) {
              const target = unpacked || !driver.independentLayers ? undefined : await prepare(layer, signal);
              writer = target?.writer;
              const keep = await findPartial(content.staging, digest, total);
              try {
                const passed = await passLayer({
                  source: resumed(keep, (start) => fetch(descriptor, signal, start, again)),
                  descriptor,
                  diffId,
                  keep,
                  signal,
                  onBytes: (current) => emit({ count: 'Downloading', current, total }),
                  ...(target === undefined ? {} : { unpack: target.unpack }),
                });
                unpackedSize = passed.size;
                emit({ say: 'Verifying Checksum' });
                await content.adopt(keep.file, { digest, size: total });
                table.putDiffId(digest, diffId);
                taken = true;
              } catch (error) {
                await keepPartial(keep, error);
                // What was kept may have been torn by a crash of the machine, and a mirror have other bytes: once more,
                // from the start.
                if (again || !(keep.have > 0 || mayTryElsewhere) || !isGantryError(error, 'corrupt')) throw error;
                again = true;
                await writer?.abort();
                writer = undefined;
              }
            }
          } finally {
            leaveDownloads();
          }
          emit({ say: 'Download complete' });
        }
      } finally {
        leaveBlob();
      }
      if (!unpacked) {
        if (writer === undefined) {
          await orAborted(parentTask, signal);
          const target = await prepare(layer, signal);
          writer = target.writer;
          const source = await content.open(digest, { signal });
          const onBytes = (current: number) => emit({ count: 'Extracting', current, total });
          const passed = await passLayer({ source, descriptor, diffId, signal, onBytes, unpack: target.unpack });
          unpackedSize = passed.size;
          table.putDiffId(digest, diffId);
        } else emit({ count: 'Extracting', current: total, total });
        await orAborted(parentTask, signal);
        // The row goes first: a crash between the two leaves a row without a layer, never a layer nobody knows.
        table.putLayer(chainId, unpackedSize ?? 0);
        const prepared = writer;
        writer = undefined;
        await prepared.commit();
      } else if (known === undefined && table.diffIdOf(digest) === undefined) {
        const source = await content.open(digest, { signal });
        await passLayer({ source, descriptor, diffId, signal });
        table.putDiffId(digest, diffId);
      }
      if (unpacked && !table.hasLayer(chainId)) table.putLayer(chainId, await sizeOf(chainId));
      emit({ say: 'Pull complete' });
    } finally {
      try {
        await writer?.abort();
      } finally {
        leaveChain();
      }
    }
  };

  const ensureOne = (layer: ChainLayer, parentTask: Promise<void>, options: EnsureOptions): Joined => {
    const { progress } = options;
    return join(
      `${layer.chainId} ${layer.descriptor.digest}`,
      (emit, signal) => install(layer, options, parentTask, emit, signal),
      (event) => {
        if ('say' in event) progress?.say(event.say);
        else progress?.count(event.count, event.current, event.total);
      },
      options.signal,
    );
  };

  return {
    /**
     * Gives the layer that was unpacked as `scratch`, before anybody knew what it would be, its chain id; where that is
     * unpacked already, `scratch` goes.
     */
    async settle(scratch: string, chainId: string, size: number): Promise<void> {
      const leave = await chainTurn(chainId);
      try {
        if (await driver.hasLayer(chainId)) await driver.removeLayer(scratch);
        else {
          table.putLayer(chainId, size);
          await driver.replaceLayer(scratch, chainId);
        }
        table.dropLayer(scratch);
      } finally {
        leave();
      }
    },
    /** All layers of a chain, in parallel; the first failure ends the others and is thrown when all have cleaned up. */
    async ensure(
      chain: readonly ChainLayer[],
      options: {
        readonly fetch?: FetchLayer;
        readonly mayTryElsewhere?: boolean;
        readonly progressOf?: (layer: ChainLayer) => LayerProgress;
        readonly signal?: AbortSignal | undefined;
      },
    ): Promise<void> {
      const stop = new AbortController();
      const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
      const reasons: unknown[] = [];
      let parentTask: Promise<void> = Promise.resolve();
      const shares = chain.map((layer) => {
        const { fetch, mayTryElsewhere } = options;
        const one: EnsureOptions = { fetch, mayTryElsewhere, progress: options.progressOf?.(layer), signal };
        const before = parentTask;
        const joined = ensureOne(layer, before, one);
        parentTask = joined.task;
        // A share may end because those it was joined with have left, not because we have: then it is begun anew.
        const share = joined.done.catch((error: unknown) => {
          if (signal.aborted || !isLeft(error)) throw error;
          return ensureOne(layer, before, one).done;
        });
        return share.catch((error: unknown) => {
          reasons.push(error);
          stop.abort(error);
        });
      });
      await Promise.all(shares);
      if (reasons.length > 0) throw reasons[0];
    },
  };
}

const isLeft = (error: unknown): boolean => error instanceof GantryError && error.kind === 'cancelled';

export type Layers = ReturnType<typeof createLayers>;
