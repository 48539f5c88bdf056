import { GantryError } from '#errors/index.ts';
import type { Platform } from '#oci/index.ts';

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** The platform of this host, in OCI's words. */
export const nativePlatform: Platform = {
  os: 'linux',
  architecture: architectures[process.arch] ?? process.arch,
};

const nativeName = `${nativePlatform.os}/${nativePlatform.architecture}`;

/** @throws what `fail` makes of the message, for a platform that is not this host's */
export function requireNative(
  text: string,
  fail: (message: string) => GantryError = (message) => new GantryError('unsupported', message),
): void {
  const wanted = text.toLowerCase().replace('x86_64', 'amd64').replace('aarch64', 'arm64');
  if (wanted !== nativeName && wanted !== nativePlatform.architecture && wanted !== `${nativeName}/v8`)
    throw fail(`platform "${text}" is not supported yet; this host builds for ${nativeName}`);
}
