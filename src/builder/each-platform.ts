import { GantryError, throwIfAborted } from '#errors/index.ts';
import type { Platform } from '#oci/index.ts';
import type { BuildEvent, BuildRequest } from './builder.ts';
import { nativePlatform, parsePlatform, platformName } from './platforms.ts';
import type { Emit } from './solve.ts';

/** What is built for, this host's platform first. @throws GantryError invalid */
export function platformsOf({ platform: text = '', output, tags }: BuildRequest): readonly Platform[] {
  const named = text.split(',').filter((one) => one.trim() !== '');
  const platforms = [...new Map(named.map((one) => [platformName(parsePlatform(one)), parsePlatform(one)])).values()];
  if (platforms.length < 2) return platforms.length === 0 ? [nativePlatform] : platforms;
  if (tags.length === 0 && output !== 'rootfs')
    throw new GantryError('invalid', `images for ${text} are kept together under a name: give one with -t`);
  const native = platformName(nativePlatform);
  return platforms.toSorted((a, b) => Number(platformName(b) === native) - Number(platformName(a) === native));
}

/** Builds for all platforms at once, each step told with its platform. The first failure stops the others. */
export async function eachPlatform<T>(
  platforms: readonly Platform[],
  emit: Emit,
  outer: AbortSignal,
  build: (platform: Platform, emit: Emit, signal: AbortSignal) => Promise<T>,
): Promise<readonly T[]> {
  const [only] = platforms;
  if (platforms.length === 1 && only !== undefined) return [await build(only, emit, outer)];
  const failed = new AbortController();
  const signal = AbortSignal.any([outer, failed.signal]);
  let first: { readonly error: unknown } | undefined;
  const results = await Promise.allSettled(
    platforms.map(async (platform) => {
      try {
        return await build(platform, (event) => emit(named(platformName(platform), event)), signal);
      } catch (error) {
        first ??= { error };
        failed.abort(error);
        throw error;
      }
    }),
  );
  throwIfAborted(outer);
  if (first !== undefined) throw first.error;
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

/** The event with its step's id and name of this platform alone. */
function named(platform: string, event: BuildEvent): BuildEvent {
  if (!('step' in event)) return event;
  const { step } = event;
  const id = `${platform} ${step.id}`;
  return step.is === 'started'
    ? { step: { ...step, id, name: step.name.replace(/^\[/, `[${platform} `) } }
    : { step: { ...step, id } };
}
