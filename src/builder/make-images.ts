import { GantryError } from '#errors/index.ts';
import type { Image, Images } from '#images/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import { attest } from './attestations/attest.ts';
import type { BuildContext } from './build-context.ts';
import type { BuildHolds } from './build-holds.ts';
import type { BuildRequest } from './builder.ts';
import { withRecords } from './cache-records.ts';
import { nativePlatform, platformName } from './platforms.ts';
import type { Solved } from './solve.ts';
import { squash } from './squash.ts';
import { imageConfigOf } from './stage-state.ts';
import type { StepLayers } from './step-layers.ts';

export interface MadeImages {
  /** The first platform's. */
  readonly image: Image;
  /** What was tagged: the image's manifest, or an index. */
  readonly digest: string;
}

/** The images of what was built, one for each platform; an index where there are several or something is attested. */
export async function makeImages(
  built: readonly Solved[],
  {
    request,
    context,
    epoch,
  }: { readonly request: BuildRequest; readonly context: BuildContext; readonly epoch: number | undefined },
  deps: { readonly images: Images; readonly driver: GraphDriver; readonly layers: StepLayers },
  {
    scratch,
    signal,
    holds,
    started,
  }: { readonly scratch: string; readonly signal: AbortSignal; readonly holds: BuildHolds; readonly started: Date },
): Promise<MadeImages> {
  const { images, driver } = deps;
  const { attestations: wanted, tags } = request;
  const asIndex = built.length > 1 || wanted !== undefined;
  if (asIndex && tags.length === 0)
    throw new GantryError('invalid', 'attestations are kept with an image under its name: give one with -t');
  const inline = request.cacheTo?.some(({ type }) => type === 'inline') === true;
  const made: { readonly image: Image; readonly solved: Solved }[] = [];
  for (const solved of built) {
    const state = request.squash === true ? await squash(deps, solved.target, { signal, holds, epoch }) : solved.target;
    const config = inline ? withRecords(imageConfigOf(state, epoch), state) : imageConfigOf(state, epoch);
    const layers = await Promise.all((state.tree.exported ?? []).map((layer) => layer.descriptor));
    const image = await images.create({ config, layers, references: asIndex ? [] : tags }, { signal });
    made.push({ image, solved });
  }
  const [first] = made;
  if (first === undefined) throw new GantryError('internal', 'a build for no platform');
  if (!asIndex) return { image: first.image, digest: first.image.manifest.digest };
  const parts = [];
  for (const { image, solved } of made) {
    const facts = {
      request,
      platform: platformName(nativePlatform),
      dockerfile: context.dockerfile,
      bases: solved.bases,
      invocation: scratch.slice(scratch.lastIndexOf('/') + 1),
      times: epoch === undefined ? { started: started.toISOString(), finished: new Date().toISOString() } : undefined,
    };
    const attestations = wanted === undefined ? [] : await attest(image, wanted, facts, { driver, scratch, signal });
    parts.push({ manifest: image.manifest.digest, attestations });
  }
  const { digest } = await images.createIndex({ images: parts, references: tags }, { signal });
  return { image: first.image, digest };
}
