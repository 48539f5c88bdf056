import { GantryError } from '#errors/index.ts';
import type { Descriptor, ImageConfig, Platform } from '#oci/index.ts';

const architectures: Readonly<Record<string, Platform>> = {
  x64: { os: 'linux', architecture: 'amd64' },
  arm64: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  arm: { os: 'linux', architecture: 'arm', variant: 'v7' },
};

/** What this host runs. @throws GantryError unsupported */
export function hostPlatform(): Platform {
  const platform = architectures[process.arch];
  if (platform === undefined)
    throw new GantryError('unsupported', `no image platform is known for the processor "${process.arch}"`);
  return platform;
}

/** `linux/arm64/v8`. */
export const platformText = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, ...(variant === undefined || variant === '' ? [] : [variant])].join('/');

const levelOf = ({ architecture, variant }: Platform): number => {
  const level = /^v(\d+)/.exec(variant ?? '')?.[1];
  if (level !== undefined) return Number(level);
  return { arm64: 8, arm: 7, amd64: 1 }[architecture] ?? 0;
};

/** How well an image for `offered` runs where `wanted` is asked: undefined is not at all, higher is better. */
export function platformFit(offered: Platform, wanted: Platform): number | undefined {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return undefined;
  const level = levelOf(offered);
  return level <= levelOf(wanted) ? level : undefined;
}

/** The manifest of an index that fits best; the first of equals (image-spec: image-index.md). */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform, what: string): Descriptor {
  const [only] = manifests;
  if (manifests.length === 1 && only !== undefined && only.platform === undefined) return only;
  let best: { descriptor: Descriptor; fit: number } | undefined;
  for (const descriptor of manifests) {
    const fit = descriptor.platform === undefined ? undefined : platformFit(descriptor.platform, wanted);
    if (fit !== undefined && (best === undefined || fit > best.fit)) best = { descriptor, fit };
  }
  if (best !== undefined) return best.descriptor;
  const offered = manifests.flatMap(({ platform }) =>
    platform === undefined || platform.os === 'unknown' ? [] : [platformText(platform)],
  );
  throw new GantryError(
    'not-found',
    `no matching manifest for ${platformText(wanted)} in the manifest list entries of ${what}; it offers ${offered.join(', ') || 'none'}`,
    { code: 'no-platform' },
  );
}

/** @throws GantryError not-found where a platform was asked for and the image is for another; unsupported for other systems */
export function checkPlatform(config: ImageConfig, wanted: Platform | undefined, what: string): void {
  if (config.os !== 'linux')
    throw new GantryError('unsupported', `${what} is for the system "${config.os}"; only linux images run here`);
  if (wanted !== undefined && platformFit(config, wanted) === undefined)
    throw new GantryError(
      'not-found',
      `image with reference ${what} was found but does not match the specified platform: wanted ${platformText(wanted)}, actual: ${platformText(config)}`,
      { code: 'no-platform' },
    );
}
