import { didYouMean } from './nearest.ts';
import { frameError, type Span } from './source.ts';

/** Who may use a cache mount at the same time: all, one after the other, or each one of its own. */
export type CacheSharing = 'shared' | 'locked' | 'private';

interface Owned {
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

interface FromTree {
  /** A path in what `from` names. */
  readonly source: string;
  /** A stage, an image or a named context; undefined: the build context. */
  readonly from?: string;
  readonly readOnly: boolean;
}

/** One `RUN --mount` (docs.docker.com/reference/dockerfile/#run---mount). Targets are as written. */
export type RunMount =
  | ({ readonly type: 'bind'; readonly target: string } & FromTree)
  | ({
      readonly type: 'cache';
      readonly target: string;
      readonly id: string;
      readonly sharing: CacheSharing;
    } & FromTree &
      Owned)
  | { readonly type: 'tmpfs'; readonly target: string; readonly size?: number }
  | ({
      readonly type: 'secret';
      readonly id: string;
      readonly target?: string;
      readonly env?: string;
      readonly required: boolean;
    } & Owned)
  | ({ readonly type: 'ssh'; readonly id: string; readonly target?: string; readonly required: boolean } & Owned);

type MountType = RunMount['type'];

const keysOf: Readonly<Record<MountType, readonly string[]>> = {
  bind: ['source', 'target', 'from', 'readonly', 'readwrite'],
  cache: ['id', 'source', 'target', 'from', 'readonly', 'readwrite', 'sharing', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size'],
  secret: ['id', 'target', 'env', 'required', 'mode', 'uid', 'gid'],
  ssh: ['id', 'target', 'required', 'mode', 'uid', 'gid'],
};
const aliases: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
  rw: 'readwrite',
};
const switches = new Set(['readonly', 'readwrite', 'required']);
const sharings: readonly CacheSharing[] = ['shared', 'locked', 'private'];
const units = 'bkmgt';

/**
 * Reads the value of one `--mount`, its variables expanded already.
 * @throws GantryError invalid, as a code frame, naming the option and what it may be
 */
export function parseRunMount(text: string, span: Span): RunMount {
  const options = readOptions(text, span);
  const type = options.get('type') ?? 'bind';
  if (!isMountType(type))
    throw frameError(
      span,
      `unsupported mount type "${type}"; it is one of ${Object.keys(keysOf).join(', ')}${didYouMean(type, Object.keys(keysOf))}`,
    );
  for (const key of options.keys())
    if (key !== 'type' && !keysOf[type].includes(key))
      throw frameError(span, `unexpected option "${key}" for a mount of type ${type}${didYouMean(key, keysOf[type])}`);
  const one = (key: string): string | undefined => options.get(key);
  const number = (key: string, fallback: number): number => {
    const value = one(key);
    if (value === undefined) return fallback;
    if (!/^\d{1,10}$/.test(value)) throw frameError(span, `invalid ${key}="${value}" of a mount; it is a number`);
    return Number(value);
  };
  const mode = (fallback: number): number => {
    const value = one('mode');
    if (value === undefined) return fallback;
    if (!/^0?[0-7]{1,4}$/.test(value)) throw frameError(span, `invalid mode="${value}" of a mount; write 0755`);
    return Number.parseInt(value, 8);
  };
  const target = (): string => {
    const value = one('target');
    if (value === undefined || value === '') throw frameError(span, `a mount of type ${type} needs target=`);
    return value;
  };
  const owned = (fallback: number): Owned => ({ mode: mode(fallback), uid: number('uid', 0), gid: number('gid', 0) });
  const from = one('from');
  const tree = (readOnly: boolean): FromTree => ({
    source: one('source') ?? '',
    ...(from === undefined ? {} : { from }),
    readOnly,
  });
  const place = one('target');
  const placed = place === undefined ? {} : { target: place };
  switch (type) {
    case 'bind':
      return { type, target: target(), ...tree(!isOn(options, 'readwrite') && one('readonly') !== 'false') };
    case 'cache': {
      const sharing = (one('sharing') ?? 'shared') as CacheSharing;
      if (!sharings.includes(sharing))
        throw frameError(
          span,
          `unsupported sharing value "${sharing}"; it is ${sharings.join(', ')}${didYouMean(sharing, sharings)}`,
        );
      const path = target();
      return {
        type,
        target: path,
        id: one('id') || path,
        sharing,
        ...tree(isOn(options, 'readonly')),
        ...owned(0o755),
      };
    }
    case 'tmpfs': {
      const size = one('size');
      return { type, target: target(), ...(size === undefined ? {} : { size: bytesOf(size, span) }) };
    }
    case 'secret': {
      const env = one('env');
      const id = one('id') || (place === undefined ? env : place.slice(place.lastIndexOf('/') + 1));
      if (id === undefined || id === '') throw frameError(span, 'a secret mount needs id=, target= or env=');
      if (env === '') throw frameError(span, 'env= of a secret mount needs a name');
      return {
        type,
        id,
        ...placed,
        ...(env === undefined ? {} : { env }),
        required: isOn(options, 'required'),
        ...owned(0o400),
      };
    }
    case 'ssh':
      return { type, id: one('id') || 'default', ...placed, required: isOn(options, 'required'), ...owned(0o600) };
  }
}

const isMountType = (text: string): text is MountType => Object.hasOwn(keysOf, text);
const isOn = (options: ReadonlyMap<string, string>, key: string) => options.get(key) === 'true';

/** The fields of a CSV line: quotes keep commas. */
function readOptions(text: string, span: Span): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const field of csvFields(text)) {
    const at = field.indexOf('=');
    const written = (at < 0 ? field : field.slice(0, at)).trim().toLowerCase();
    const key = aliases[written] ?? written;
    const value = at < 0 ? undefined : field.slice(at + 1);
    if (!switches.has(key)) {
      if (value === undefined)
        throw frameError(span, `invalid field '${field}' of a mount; it must be a key=value pair`);
      options.set(key, value);
      continue;
    }
    const asked = (value ?? 'true').toLowerCase();
    if (!['true', 'false', '1', '0'].includes(asked))
      throw frameError(span, `invalid value for ${key}: ${asked}; it is true or false`);
    options.set(key, asked === 'true' || asked === '1' ? 'true' : 'false');
  }
  return options;
}

/** Splits at commas that are not inside double quotes (RFC 4180); `""` inside quotes is one. */
export function csvFields(text: string): readonly string[] {
  const fields: string[] = [];
  let field = '';
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? '';
    if (char === '"' && quoted && text[i + 1] === '"') {
      field += '"';
      i++;
    } else if (char === '"') quoted = !quoted;
    else if (char === ',' && !quoted) {
      fields.push(field);
      field = '';
    } else field += char;
  }
  fields.push(field);
  return fields;
}

function bytesOf(text: string, span: Span): number {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text);
  if (match === null) throw frameError(span, `invalid size="${text}" of a mount; write 64m or 1g`);
  return Math.floor(Number(match[1]) * 1024 ** Math.max(0, units.indexOf((match[2] ?? '').toLowerCase())));
}
