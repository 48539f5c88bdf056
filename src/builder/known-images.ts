import type { Dockerfile, LintKnowledge } from '#dockerfile/index.ts';
import { isGantryError } from '#errors/index.ts';
import type { Image, Images } from '#images/index.ts';
import type { Platform } from '#oci/index.ts';
import { isImageId } from './base-images.ts';
import { parsePlatform, platformName } from './platforms.ts';
import { environment } from './run-config.ts';

/** What the images that a file names say to its lint, as far as they are here. */
export async function knownImages(
  file: Dockerfile,
  images: Images,
  target: Platform,
): Promise<Required<Pick<LintKnowledge, 'environmentOf' | 'foreignBaseOf'>>> {
  const known = new Map<string, Image>();
  for (const { from } of file.stages) {
    const reference = from.image.text;
    if (reference.includes('$') || known.has(reference)) continue;
    // One that is not here, or is no image's name, says nothing.
    const image = await images.get(reference).catch(() => undefined);
    if (image !== undefined) known.set(reference, image);
  }
  return {
    environmentOf(reference) {
      const image = known.get(reference);
      return image && [...environment(image.config.config ?? {}).keys()];
    },
    foreignBaseOf({ image: { text }, platform }) {
      const image = known.get(text);
      if (image === undefined || !isImageId(text) || platform?.text.includes('$')) return undefined;
      const wanted = platform === undefined ? target : platformOf(platform.text);
      if (wanted === undefined) return undefined;
      const expected = platformName(wanted);
      const actual = platformName(image.config);
      return actual === expected ? undefined : { actual, expected };
    },
  };
}

/** What is no platform is told where the stage is built, in a code frame. */
function platformOf(text: string): Platform | undefined {
  try {
    return parsePlatform(text);
  } catch (error) {
    if (isGantryError(error)) return undefined;
    throw error;
  }
}
