import { GantryError } from '#errors/index.ts';

/**
 * The build argument SOURCE_DATE_EPOCH in seconds since 1970 (reproducible-builds.org/docs/source-date-epoch), whatever
 * the Dockerfile declares. @throws GantryError invalid
 */
export function epochOf(buildArgs: Readonly<Record<string, string | null>>): number | undefined {
  const text = buildArgs.SOURCE_DATE_EPOCH;
  if (text === undefined || text === null || text === '') return undefined;
  if (!/^\d{1,12}$/.test(text))
    throw new GantryError('invalid', `SOURCE_DATE_EPOCH="${text}" is not a number of seconds since 1970`);
  return Number(text);
}
