import { GantryError } from '#errors/index.ts';
import type { Platform } from '#oci/index.ts';

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** The platform of this host, in OCI's words. */
export const nativePlatform: Platform = {
  os: 'linux',
  architecture: architectures[process.arch] ?? process.arch,
};

const otherNames: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  i386: '386',
};

/** `linux/arm64/v8`, `arm64` or `linux`; what is left out is this host's. @throws GantryError invalid */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split('/');
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part)))
    throw new GantryError(
      'invalid',
      `"${text}" is not a platform; expected os/architecture[/variant], e.g. linux/amd64`,
    );
  const bare = parts.length === 1 && parts[0] !== 'linux' ? ['linux', ...parts] : parts;
  const [os = 'linux', written = nativePlatform.architecture, variant] = bare;
  const architecture = otherNames[written] ?? written;
  if (os !== 'linux') throw new GantryError('unsupported', `platform "${text}": only linux images can be built here`);
  // arm64 has one variant, which goes without saying.
  return {
    os,
    architecture,
    ...(variant === undefined || (architecture === 'arm64' && variant === 'v8') ? {} : { variant }),
  };
}

export const platformName = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');

/** Whether programs of an architecture run here by themselves. */
export const canRunAsItIs = ({ architecture }: Pick<Platform, 'architecture'>): boolean =>
  architecture === nativePlatform.architecture;
