import type { MountRequest } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';

/** `source:target[:options]` of -v. @throws GantryError invalid, unsupported */
export function bindOf(bind: string): MountRequest {
  const [source = '', target, mode = ''] = bind.split(':');
  if (target === undefined) return { type: 'volume', target: source };
  const options = mode.split(',').filter((option) => option !== '');
  const readOnly = options.includes('ro');
  for (const option of options)
    if (!/^(?:ro|rw|z|Z|nocopy|r?private|r?shared|r?slave)$/.test(option))
      throw new GantryError('invalid', `invalid mode "${mode}" in "${bind}"`);
    else if (/shared|slave/.test(option))
      throw new GantryError('unsupported', `propagation "${option}" in "${bind}": not supported yet`);
  return source.startsWith('/')
    ? { type: 'bind', source, target, readOnly, createSource: true }
    : { type: 'volume', source, target, readOnly, noCopy: options.includes('nocopy') };
}

/** One of HostConfig.Mounts (--mount). */
export interface MountBody {
  Type: string;
  Source?: string;
  Target: string;
  ReadOnly?: boolean;
  BindOptions?: { Propagation?: string } | null;
  VolumeOptions?: { NoCopy?: boolean; Labels?: object | null; DriverConfig?: object | null; Subpath?: string } | null;
  TmpfsOptions?: { SizeBytes?: number; Mode?: number } | null;
}

/** A tmpfs of --mount as one of --tmpfs: `size=…,mode=…`. */
const tmpfsText = ({ ReadOnly, TmpfsOptions }: MountBody): string =>
  [
    ...(ReadOnly ? ['ro'] : []),
    ...(TmpfsOptions?.SizeBytes ? [`size=${TmpfsOptions.SizeBytes}`] : []),
    ...(TmpfsOptions?.Mode ? [`mode=${TmpfsOptions.Mode.toString(8)}`] : []),
  ].join(',');

/** A bind or volume of --mount. @throws GantryError unsupported */
export function mountOf(mount: MountBody): MountRequest {
  const { Type: type, Target: target, BindOptions: bind, VolumeOptions: volume } = mount;
  if (type !== 'bind' && type !== 'volume')
    throw new GantryError('unsupported', `mount type "${type}" at ${target}: not supported yet`);
  if (Object.keys(volume?.Labels ?? {}).length > 0 || volume?.DriverConfig || volume?.Subpath)
    throw new GantryError('unsupported', `volume labels, drivers and subpaths at ${target}: not supported yet`);
  if (bind?.Propagation && !/^r?private$/.test(bind.Propagation))
    throw new GantryError('unsupported', `propagation "${bind.Propagation}" at ${target}: not supported yet`);
  return {
    type,
    target,
    readOnly: mount.ReadOnly ?? false,
    noCopy: volume?.NoCopy ?? false,
    ...(mount.Source ? { source: mount.Source } : {}),
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
