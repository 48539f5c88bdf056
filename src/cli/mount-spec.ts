import { isAbsolute, resolve } from 'node:path';
import { GantryError } from '#errors/index.ts';
import { pairs } from './pairs.ts';

/** A mount as POST /containers/create takes it. */
export interface MountBody {
  Type: string;
  Source?: string;
  Target: string;
  ReadOnly?: boolean;
  Consistency?: string;
  BindOptions?: {
    Propagation?: string;
    NonRecursive?: boolean;
    ReadOnlyNonRecursive?: boolean;
    ReadOnlyForceRecursive?: boolean;
    CreateMountpoint?: boolean;
    OwnerAs?: number;
  };
  VolumeOptions?: {
    NoCopy?: boolean;
    Labels?: Record<string, string>;
    Subpath?: string;
    DriverConfig?: { Name?: string; Options?: Record<string, string> };
  };
  TmpfsOptions?: { SizeBytes?: number; Mode?: number };
  ImageOptions?: { Subpath?: string };
}

/**
 * Splits `-v` values into binds (`source:target[:options]`; a source that starts with a dot is taken from the working
 * directory) and anonymous volumes (a target alone). @throws GantryError invalid
 */
export function parseVolumes(specs: readonly string[]): { binds: readonly string[]; volumes: Record<string, object> } {
  const binds: string[] = [];
  const volumes: Record<string, object> = {};
  for (const spec of specs) {
    const [source = '', target, ...options] = spec.split(':');
    if (spec === '') throw new GantryError('invalid', 'invalid empty volume spec');
    if (options.length > 1) throw new GantryError('invalid', `invalid spec: ${spec}: too many colons`);
    if (target === undefined) volumes[source] = {};
    else if (source === '' || target === '')
      throw new GantryError('invalid', `invalid spec: ${spec}: empty section between colons`);
    else if (!isAbsolute(target))
      throw new GantryError('invalid', `invalid volume specification: '${spec}': the mount path must be absolute`);
    else binds.push([/^\.\.?(?:\/|$)/.test(source) ? resolve(source) : source, target, ...options].join(':'));
  }
  return { binds, volumes };
}

/** Reads one `--mount` value: `type=bind,source=/srv,target=/data,readonly`. @throws GantryError invalid, unsupported */
export function parseMount(spec: string, parseBytes: (text: string) => number): MountBody {
  const mount: MountBody = { Type: 'volume', Target: '' };
  for (const field of commaFields(spec)) {
    const at = field.indexOf('=');
    const key = (at < 0 ? field : field.slice(0, at)).trim().toLowerCase();
    const value = at < 0 ? undefined : field.slice(at + 1);
    const need = (): string => {
      if (value === undefined || value === '')
        throw new GantryError('invalid', `invalid field '${field}' must be a key=value pair`);
      return value;
    };
    const truth = (): boolean => {
      if (value === undefined || /^(?:1|t|true)$/i.test(value)) return true;
      if (/^(?:0|f|false)$/i.test(value)) return false;
      throw new GantryError('invalid', `invalid value for ${key}: ${value}`);
    };
    switch (key) {
      case 'type':
        mount.Type = need().toLowerCase();
        break;
      case 'source':
      case 'src':
        mount.Source = need();
        break;
      case 'target':
      case 'dst':
      case 'destination':
        mount.Target = need();
        break;
      case 'readonly':
      case 'ro':
        mount.ReadOnly = truth();
        break;
      case 'bind-propagation':
        mount.BindOptions = { ...mount.BindOptions, Propagation: need() };
        break;
      case 'bind-nonrecursive':
        mount.BindOptions = { ...mount.BindOptions, NonRecursive: truth() };
        break;
      case 'bind-recursive':
        mount.BindOptions = { ...mount.BindOptions, ...recursion(need()) };
        break;
      case 'bind-create-src':
        mount.BindOptions = { ...mount.BindOptions, CreateMountpoint: truth() };
        break;
      case 'idmap':
        if (value !== undefined && !/^\d+$/.test(value))
          throw new GantryError('invalid', `invalid value for ${key}: ${value}; expected a user id of the container`);
        mount.BindOptions = { ...mount.BindOptions, OwnerAs: Number(value ?? 0) };
        break;
      case 'volume-subpath':
        mount.VolumeOptions = { ...mount.VolumeOptions, Subpath: need() };
        break;
      case 'volume-label':
        mount.VolumeOptions = {
          ...mount.VolumeOptions,
          Labels: { ...mount.VolumeOptions?.Labels, ...pairs([need()]) },
        };
        break;
      case 'volume-driver':
        mount.VolumeOptions = {
          ...mount.VolumeOptions,
          DriverConfig: { ...mount.VolumeOptions?.DriverConfig, Name: need() },
        };
        break;
      case 'volume-opt':
        mount.VolumeOptions = {
          ...mount.VolumeOptions,
          DriverConfig: {
            ...mount.VolumeOptions?.DriverConfig,
            Options: { ...mount.VolumeOptions?.DriverConfig?.Options, ...pairs([need()]) },
          },
        };
        break;
      case 'image-subpath':
        mount.ImageOptions = { Subpath: need() };
        break;
      case 'consistency':
        mount.Consistency = need();
        break;
      case 'volume-nocopy':
        mount.VolumeOptions = { ...mount.VolumeOptions, NoCopy: truth() };
        break;
      case 'tmpfs-size':
        mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: parseBytes(need()) };
        break;
      case 'tmpfs-mode':
        if (!/^[0-7]+$/.test(need()))
          throw new GantryError('invalid', `invalid value for ${key}: ${value}; expected octal digits`);
        mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(need(), 8) };
        break;
      default:
        throw new GantryError('invalid', `unexpected key '${key}' in '${field}'`);
    }
  }
  if (mount.Target === '') throw new GantryError('invalid', `target is required in --mount "${spec}"`);
  if (mount.Type === 'bind') {
    if (mount.Source === undefined)
      throw new GantryError('invalid', `source is required for the bind mount at ${mount.Target}`);
    mount.Source = resolve(mount.Source);
  }
  const foreign: readonly (readonly [keyof MountBody, string])[] = [
    ['BindOptions', 'bind'],
    ['VolumeOptions', 'volume'],
    ['TmpfsOptions', 'tmpfs'],
    ['ImageOptions', 'image'],
  ];
  for (const [options, type] of foreign)
    if (mount[options] !== undefined && mount.Type !== type)
      throw new GantryError('invalid', `cannot mix '${type}-*' options with mount type '${mount.Type}'`);
  return mount;
}

/** `bind-recursive`: how far a bind and its being read-only reach. @throws GantryError invalid */
function recursion(value: string): MountBody['BindOptions'] {
  switch (value) {
    case 'enabled':
      return {};
    case 'disabled':
      return { NonRecursive: true };
    case 'writable':
      return { ReadOnlyNonRecursive: true };
    case 'readonly':
      return { ReadOnlyForceRecursive: true };
    default:
      throw new GantryError(
        'invalid',
        `invalid value for bind-recursive: ${value} (must be "enabled", "disabled", "writable" or "readonly")`,
      );
  }
}

/** One line of CSV: a field with a comma or quote in it is quoted, quotes in it doubled. @throws GantryError invalid */
export function commaFields(line: string): readonly string[] {
  const fields: string[] = [];
  const pattern = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const match = pattern.exec(line);
    if (match === null)
      throw new GantryError('invalid', `"${line}" is not a list of comma-separated values: a quote is out of place`);
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] !== ',') return fields;
  }
}
