import type { MountRequest } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';

/** `source:target[:options]` of -v. @throws GantryError invalid */
export function bindOf(bind: string): MountRequest {
  const [source = '', target, mode = '', ...more] = bind.split(':');
  if (target === undefined) return { type: 'volume', target: source };
  if (more.length > 0) throw new GantryError('invalid', `invalid volume specification: '${bind}': too many colons`);
  const options = mode.split(',').filter((option) => option !== '');
  const readOnly = options.includes('ro');
  let propagation: string | undefined;
  let ownerAs: number | undefined;
  for (const option of options) {
    const [, as] = /^idmap(?:=(\d+))?$/.exec(option) ?? [];
    if (option.startsWith('idmap') && (option === 'idmap' || as !== undefined)) ownerAs = Number(as ?? 0);
    else if (/^r?(?:private|shared|slave)$/.test(option)) propagation = option;
    else if (!/^(?:ro|rw|z|Z|nocopy|cached|delegated|consistent)$/.test(option))
      throw new GantryError('invalid', `invalid mode "${mode}" in "${bind}"`);
  }
  if (source.startsWith('/'))
    return {
      type: 'bind',
      source,
      target,
      readOnly,
      createSource: true,
      ...(propagation === undefined ? {} : { propagation }),
      ...(ownerAs === undefined ? {} : { ownerAs }),
    };
  if (propagation !== undefined || ownerAs !== undefined)
    throw new GantryError('invalid', `invalid mode "${mode}" in "${bind}": it is for directories of the host only`);
  return { type: 'volume', source, target, readOnly, noCopy: options.includes('nocopy') };
}

/** One of HostConfig.Mounts (--mount). */
export interface MountBody {
  Type: string;
  Source?: string;
  Target: string;
  ReadOnly?: boolean;
  Consistency?: string;
  BindOptions?: {
    Propagation?: string;
    NonRecursive?: boolean;
    CreateMountpoint?: boolean;
    ReadOnlyNonRecursive?: boolean;
    ReadOnlyForceRecursive?: boolean;
    /** Gantry's own: who the owner of the directory is in the container. */
    OwnerAs?: number;
  } | null;
  VolumeOptions?: {
    NoCopy?: boolean;
    Labels?: Record<string, string> | null;
    DriverConfig?: { Name?: string; Options?: Record<string, string> | null } | null;
    Subpath?: string;
  } | null;
  TmpfsOptions?: { SizeBytes?: number; Mode?: number; Options?: string[][] | null } | null;
  ImageOptions?: { Subpath?: string } | null;
}

/** A tmpfs of --mount as one of --tmpfs: `size=…,mode=…`. */
const tmpfsText = ({ ReadOnly, TmpfsOptions }: MountBody): string =>
  [
    ...(ReadOnly ? ['ro'] : []),
    ...(TmpfsOptions?.SizeBytes ? [`size=${TmpfsOptions.SizeBytes}`] : []),
    ...(TmpfsOptions?.Mode ? [`mode=${TmpfsOptions.Mode.toString(8)}`] : []),
    ...(TmpfsOptions?.Options ?? []).map((pair) => pair.join('=')),
  ].join(',');

/** A bind, volume or image of --mount. @throws GantryError invalid, unsupported, not-found */
export function mountOf(mount: MountBody): MountRequest {
  const { Type: type, Target: target, Source: source, ReadOnly: readOnly = false } = mount;
  const foreign = (['Bind', 'Volume', 'Tmpfs', 'Image'] as const).find(
    (kind) => mount[`${kind}Options`] && kind.toLowerCase() !== type,
  );
  if (foreign !== undefined)
    throw new GantryError(
      'invalid',
      `invalid mount config for type "${type}": ${foreign}Options must not be specified`,
    );
  switch (type) {
    case 'bind':
      return { type, target, readOnly, ...(source ? { source } : {}), ...bindDetails(mount) };
    case 'volume':
      return { type, target, readOnly, ...(source ? { source } : {}), ...volumeDetails(mount) };
    case 'image':
      if (!source)
        throw new GantryError('invalid', `invalid mount config for type "image" at ${target}: Source is empty`);
      if (mount.ImageOptions?.Subpath)
        throw new GantryError(
          'unsupported',
          `image subpath "${mount.ImageOptions.Subpath}" at ${target}: not supported`,
        );
      return { type, target, source };
    default:
      throw new GantryError('invalid', `mount type "${type}" at ${target}; expected bind, volume, tmpfs or image`);
  }
}

function bindDetails({ BindOptions: bind, ReadOnly: readOnly, Target: target }: MountBody): Partial<MountRequest> {
  if (bind?.ReadOnlyForceRecursive && (!readOnly || bind.ReadOnlyNonRecursive))
    throw new GantryError(
      'invalid',
      `mount at ${target}: ReadOnlyForceRecursive needs ReadOnly, and no ReadOnlyNonRecursive`,
    );
  if (bind?.ReadOnlyForceRecursive && !/^(?:rprivate)?$/.test(bind.Propagation ?? ''))
    throw new GantryError('invalid', `mount at ${target}: bind-recursive=readonly needs bind-propagation=rprivate`);
  return {
    ...(bind?.Propagation ? { propagation: bind.Propagation } : {}),
    ...(bind?.NonRecursive ? { nonRecursive: true } : {}),
    ...(bind?.ReadOnlyNonRecursive ? { writableBelow: true } : {}),
    ...(bind?.CreateMountpoint ? { createSource: true } : {}),
    ...(bind?.OwnerAs === undefined ? {} : { ownerAs: bind.OwnerAs }),
  };
}

function volumeDetails({ VolumeOptions: volume }: MountBody): Partial<MountRequest> {
  const driver = volume?.DriverConfig?.Name ?? '';
  if (driver !== '' && driver !== 'local')
    throw new GantryError('not-found', `volume driver "${driver}" is not known; only "local" is`);
  return {
    noCopy: volume?.NoCopy ?? false,
    ...(volume?.Labels ? { labels: volume.Labels } : {}),
    ...(volume?.DriverConfig?.Options ? { volumeOptions: volume.DriverConfig.Options } : {}),
    ...(volume?.Subpath ? { subpath: volume.Subpath } : {}),
  };
}

/** All tmpfs mounts by target, of --tmpfs and of --mount; undefined where there are none. */
export function tmpfsOf(
  given: Readonly<Record<string, string>> | null | undefined,
  mounts: readonly MountBody[] | null | undefined,
): Readonly<Record<string, string>> | undefined {
  const more = (mounts ?? [])
    .filter(({ Type }) => Type === 'tmpfs')
    .map((mount) => [mount.Target, tmpfsText(mount)] as const);
  const all = { ...given, ...Object.fromEntries(more) };
  return Object.keys(all).length === 0 ? undefined : all;
}
