import { GantryError } from '#errors/index.ts';

/** The newest version of the Engine API that is spoken, where it is asked for. */
export const apiVersion = '1.56';
/**
 * What a call without a version gets, and what clients are told that ask which version to speak: those that people have were
 * written for its answers, and 1.52 and 1.53 take fields away.
 */
export const usualVersion = '1.51';
export const minApiVersion = '1.24';

/** Of `1.NN` the NN: all versions that are spoken begin with 1. */
export type Minor = number;

export const minorOf = (version: string): Minor => Number(version.slice(version.indexOf('.') + 1));

/** The version that a call's path begins with; undefined where it begins with none. */
export const versionOf = (url: string): string | undefined => /^\/v(\d+\.\d+)(?=\/)/.exec(url)?.[1];

/** A path without its version. */
export const withoutVersion = (url: string): string => url.replace(/^\/v\d+\.\d+(?=\/)/, '');

/** @throws GantryError invalid, in Docker's words, for a version that is not spoken */
export function checkedMinor(version: string | undefined): Minor {
  if (version === undefined) return minorOf(usualVersion);
  const [major, minor] = [Number(version.split('.')[0]), minorOf(version)];
  if (major < 1 || (major === 1 && minor < minorOf(minApiVersion)))
    throw new GantryError(
      'invalid',
      `client version ${version} is too old. Minimum supported API version is ${minApiVersion}, please upgrade your client to a newer version`,
    );
  if (major > 1 || minor > minorOf(apiVersion))
    throw new GantryError(
      'invalid',
      `client version ${version} is too new. Maximum supported API version is ${apiVersion}`,
    );
  return minor;
}
