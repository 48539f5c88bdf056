import type { MountRequest } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';
import { unknownVolumeDriver } from './foreign-fields.ts';
import type { mountBody } from './schema/container.ts';
import type { ShapeOf } from './schema/schema.ts';

/** `source:target[:options]` of -v. @throws GantryError invalid */
export function bindOf(bind: string): MountRequest {
  const [source = '', target, mode = '', ...more] = bind.split(':');
  if (target === undefined) return { type: 'volume', target: source, mode };
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
      mode,
      readOnly,
      createSource: true,
      ...(propagation === undefined ? {} : { propagation }),
      ...(ownerAs === undefined ? {} : { ownerAs }),
    };
  if (propagation !== undefined || ownerAs !== undefined)
    throw new GantryError('invalid', `invalid mode "${mode}" in "${bind}": it is for directories of the host only`);
  return { type: 'volume', source, target, mode, readOnly, noCopy: options.includes('nocopy') };
}

/** One of HostConfig.Mounts (--mount). */
export type MountBody = ShapeOf<typeof mountBody>;

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
  const { Type: type = '', Target: target = '', Source: source, ReadOnly: readOnly = false } = mount;
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

function bindDetails({ BindOptions: bind, ReadOnly: readOnly, Target: target = '' }: MountBody): Partial<MountRequest> {
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
  if (driver !== '' && driver !== 'local') throw unknownVolumeDriver(driver);
  return {
    noCopy: volume?.NoCopy ?? false,
    ...(volume?.Labels ? { labels: volume.Labels } : {}),
    ...(volume?.DriverConfig?.Options ? { volumeOptions: volume.DriverConfig.Options } : {}),
    ...(volume?.Subpath ? { subpath: volume.Subpath } : {}),
  };
}

/** What -v asked for, as inspect shows it. */
export const bindsShape = (mounts: readonly MountRequest[] | undefined): readonly string[] | null => {
  const binds = (mounts ?? []).filter(({ source, mode }) => source !== undefined && mode !== undefined);
  return binds.length === 0
    ? null
    : binds.map(({ source, target, mode }) => `${source}:${target}${mode === '' ? '' : `:${mode}`}`);
};

/** What --mount asked for, as inspect shows it; undefined where it asked for nothing. */
export function mountsShape(mounts: readonly MountRequest[] | undefined): readonly MountBody[] | undefined {
  const asked = (mounts ?? []).filter(({ mode }) => mode === undefined);
  return asked.length === 0 ? undefined : asked.map(mountShape);
}

const optionsOf = <K extends string, V extends object>(key: K, value: V): { [P in K]?: V } =>
  Object.keys(value).length === 0 ? {} : ({ [key]: value } as { [P in K]?: V });

const mountShape = (mount: MountRequest): MountBody => ({
  Type: mount.type,
  ...(mount.source === undefined ? {} : { Source: mount.source }),
  Target: mount.target,
  ...(mount.readOnly ? { ReadOnly: true } : {}),
  ...optionsOf('BindOptions', {
    ...(mount.propagation === undefined ? {} : { Propagation: mount.propagation }),
    ...(mount.nonRecursive ? { NonRecursive: true } : {}),
    ...(mount.writableBelow ? { ReadOnlyNonRecursive: true } : {}),
    ...(mount.createSource ? { CreateMountpoint: true } : {}),
    ...(mount.ownerAs === undefined ? {} : { OwnerAs: mount.ownerAs }),
  }),
  ...optionsOf('VolumeOptions', {
    ...(mount.noCopy ? { NoCopy: true } : {}),
    ...(mount.labels === undefined ? {} : { Labels: mount.labels }),
    ...(mount.volumeOptions === undefined ? {} : { DriverConfig: { Name: 'local', Options: mount.volumeOptions } }),
    ...(mount.subpath === undefined ? {} : { Subpath: mount.subpath }),
  }),
});

/** All tmpfs mounts by target, of --tmpfs and of --mount; undefined where there are none. */
export function tmpfsOf(
  given: Readonly<Record<string, string>> | null | undefined,
  mounts: readonly MountBody[] | null | undefined,
): Readonly<Record<string, string>> | undefined {
  const more = (mounts ?? [])
    .filter(({ Type }) => Type === 'tmpfs')
    .map((mount) => [mount.Target ?? '', tmpfsText(mount)] as const);
  const all = { ...given, ...Object.fromEntries(more) };
  return Object.keys(all).length === 0 ? undefined : all;
}
