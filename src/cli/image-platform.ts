import type { EngineClient } from '#client/index.ts';
import { Failure } from './failure.ts';

/**
 * `--platform` of what is done to an image that is here: an image of the engine's is of one platform, so it fits or there
 * is none. Nothing is asked for where `platform` is empty. @throws Failure, GantryError
 */
export async function requirePlatform(engine: EngineClient, name: string, platform: string): Promise<void> {
  if (platform === '') return;
  const [os, architecture, variant, ...more] = platform.toLowerCase().split('/');
  if (more.length > 0 || !/^[\w-]+(?:\/[\w.-]+){0,2}$/.test(platform))
    throw new Failure(`invalid platform "${platform}"; expected os[/arch[/variant]], e.g. linux/amd64`, 1);
  const image = await engine.json<{ Os: string; Architecture: string; Variant?: string }>(
    'GET',
    `/images/${name}/json`,
  );
  const fits =
    image.Os === os &&
    (architecture === undefined || image.Architecture === (aliases[architecture] ?? architecture)) &&
    (variant === undefined || (image.Variant ?? '') === variant);
  if (fits) return;
  const own = [image.Os, image.Architecture, image.Variant].filter(Boolean).join('/');
  throw new Failure(
    `image with reference ${name} was found but does not provide the specified platform (${platform}); it is of ${own}`,
    1,
  );
}

const aliases: Readonly<Record<string, string>> = { x86_64: 'amd64', 'x86-64': 'amd64', aarch64: 'arm64' };
