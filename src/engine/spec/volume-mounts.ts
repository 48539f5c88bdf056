import type { Mount } from '#oci/index.ts';
import type { ContainerMount } from '../engine.ts';

/** A mount as the specification has it. */
export type SpecMount = Mount;

/**
 * A tmpfs, bind or volume as a mount of the specification. `owner` is who owns a bind with `ownerAs` on the host: an idmapped
 * mount shows those files as the container's, and files made there are the owner's (runtime-spec: config.md#mounts).
 */
export function specMountOf(
  mount: ContainerMount,
  source: string,
  owner?: { readonly uid: number; readonly gid: number },
): SpecMount {
  const { target: destination, readOnly, propagation = 'rprivate', nonRecursive, writableBelow, ownerAs } = mount;
  if (mount.type === 'tmpfs')
    return {
      destination,
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'nodev', 'noexec', ...(readOnly ? ['ro'] : [])],
    };
  const readOnlyOption = writableBelow || nonRecursive ? 'ro' : 'rro';
  const as = (hostID: number, containerID: number) => [{ containerID, hostID, size: 1 }];
  return {
    destination,
    type: 'bind',
    source,
    options: [nonRecursive ? 'bind' : 'rbind', propagation, readOnly ? readOnlyOption : 'rw'],
    ...(ownerAs === undefined || owner === undefined
      ? {}
      : { uidMappings: as(ownerAs, owner.uid), gidMappings: as(ownerAs, owner.gid) }),
  };
}
