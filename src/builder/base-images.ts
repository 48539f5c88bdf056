import { isGantryError } from '#errors/index.ts';
import type { Credentials, Image, Images } from '#images/index.ts';
import { chainIdOf, type Platform, parseReference } from '#oci/index.ts';
import { platformName } from './platforms.ts';
import type { StageOutput } from './stage-output.ts';

/** The images a build stands on or copies from, each looked up (and pulled where needed) once, held, and unpacked. */
export function createBaseImages(
  images: Pick<Images, 'get' | 'pull' | 'unpack'>,
  request: { readonly pull: boolean; readonly credentials: Readonly<Record<string, Credentials>> },
  target: Platform,
  hold: (keys: readonly string[]) => Promise<void>,
  signal: AbortSignal,
) {
  const known = new Map<string, Promise<Image>>();

  const resolve = async (reference: string, platform: Platform, output: StageOutput): Promise<Image> => {
    const held = await images.get(reference).catch((error: unknown) => {
      if (isGantryError(error, 'not-found')) return undefined;
      throw error;
    });
    const image =
      held !== undefined && (isImageId(reference) || (!request.pull && isFor(held, platform)))
        ? held
        : await images.pull(reference, {
            credentials: credentialsFor(request.credentials, reference),
            platform,
            onProgress: (progress) => output.event({ progress }),
            signal,
          });
    await hold([
      image.id,
      image.manifest.digest,
      ...image.layers.map(({ digest }) => digest),
      ...image.config.rootfs.diff_ids.map((_, at, ids) => chainIdOf(ids.slice(0, at + 1)) ?? ''),
    ]);
    await images.unpack(image, { signal });
    return image;
  };

  return (reference: string, output: StageOutput, platform: Platform = target): Promise<Image> => {
    const key = `${platformName(platform)} ${reference}`;
    const found = known.get(key) ?? resolve(reference, platform, output);
    found.catch(() => undefined);
    known.set(key, found);
    return found;
  };
}

/** Of an image that is here, whatever platform it is for: there is nothing to be pulled instead. */
export const isImageId = (reference: string): boolean => /^(?:sha256:)?[0-9a-f]{12,64}$/.test(reference);

/** The credentials for a reference's registry. */
export function credentialsFor(
  credentials: Readonly<Record<string, Credentials>>,
  reference: string,
): Credentials | undefined {
  const { registry } = parseReference(reference);
  return credentials[registry] ?? (registry === 'docker.io' ? credentials['index.docker.io'] : undefined);
}

const isFor = ({ config }: Image, { os, architecture }: Platform) =>
  config.os === os && config.architecture === architecture;

export type BaseImages = ReturnType<typeof createBaseImages>;
