import { GantryError } from '#errors/index.ts';
import type { Image, Images } from '#images/index.ts';
import { isOlderThan, labelsMatch } from './prune-filters.ts';
import { flag } from './query.ts';

/** Keys of `filters` of GET /images/json. */
export const imageFilters = ['before', 'dangling', 'label', 'label!', 'reference', 'since', 'until'] as const;

const createdOf = ({ config }: Image): string => config.created ?? '1970-01-01T00:00:00Z';

/** A shell's pattern of a name: `*` and `?` stop at slashes (path.Match of Go). */
function patternOf(text: string): RegExp {
  const escaped = text
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  try {
    return new RegExp(`^${escaped}$`);
  } catch {
    throw new GantryError('invalid', `the filter reference="${text}" is not a pattern`);
  }
}

/** Whether an image fits `filters`. @throws GantryError invalid, not-found (of before and since) */
export async function imageTest(
  wanted: ReadonlyMap<string, readonly string[]>,
  images: Pick<Images, 'get'>,
): Promise<(image: Image) => boolean> {
  const moment = async (key: string) => {
    const [name] = wanted.get(key) ?? [];
    return name === undefined ? undefined : Date.parse(createdOf(await images.get(name)));
  };
  const [before, since] = [await moment('before'), await moment('since')];
  const patterns = wanted.get('reference')?.map(patternOf);
  const [dangling] = wanted.get('dangling') ?? [];
  return (image) => {
    const created = Date.parse(createdOf(image));
    const names = [...image.tags, ...image.repoDigests];
    const fitsName = (pattern: RegExp) =>
      names.some((name) => pattern.test(name) || pattern.test(name.replace(/@.*$|:[^:/]*$/, '')));
    return (
      (patterns?.some(fitsName) ?? true) &&
      (dangling === undefined || flag(dangling) === (image.tags.length === 0)) &&
      (before === undefined || created < before) &&
      (since === undefined || created > since) &&
      isOlderThan(createdOf(image), wanted) &&
      labelsMatch(image.config.config?.Labels ?? {}, wanted)
    );
  };
}
