import { GantryError } from '#errors/index.ts';
import type { IdMapping } from '#oci/index.ts';
import type { Configuration } from './config.ts';

/** Whom a container is made by who is not root, and may do in a user namespace alone what root does. */
export interface RootlessUser {
  readonly uid: number;
  readonly gid: number;
}

/** Undefined for root. */
export function rootlessUser(): RootlessUser | undefined {
  const uid = process.geteuid?.() ?? 0;
  return uid === 0 ? undefined : { uid, gid: process.getegid?.() ?? 0 };
}

/** The one id that a user may map is 0 in the namespace that the launcher goes into. */
function asSeenByLauncher(mappings: readonly IdMapping[] = [], own: number, pointer: string): readonly IdMapping[] {
  return mappings.map((mapping, i) => {
    if (mapping.hostID !== own || mapping.size !== 1)
      throw new GantryError(
        'unsupported',
        `config.json: ${pointer}/${i} maps ${mapping.size} ids from ${mapping.hostID}; without root only ${own} itself can be mapped: use hostID ${own} and size 1, as spec --rootless does`,
      );
    return { ...mapping, hostID: 0 };
  });
}

/**
 * The configuration as the launcher carries it out for a user (`launcher.rootless`).
 * @throws GantryError unsupported for what takes more than that user has
 */
export function rootlessConfiguration(spec: Configuration, { uid, gid }: RootlessUser): Configuration {
  const { linux = {} } = spec;
  if (!linux.namespaces?.some(({ type, path }) => type === 'user' && path === undefined))
    throw new GantryError(
      'unsupported',
      `config.json: /linux/namespaces has no new user namespace, and user ${uid} is not root; see spec --rootless`,
    );
  if ((spec.process.user.additionalGids ?? []).length > 0)
    throw new GantryError(
      'unsupported',
      `config.json: /process/user/additionalGids: user ${uid} is not root and cannot take groups`,
    );
  return {
    ...spec,
    linux: {
      ...linux,
      uidMappings: asSeenByLauncher(linux.uidMappings, uid, '/linux/uidMappings'),
      gidMappings: asSeenByLauncher(linux.gidMappings, gid, '/linux/gidMappings'),
    },
  };
}
