import { readFileSync } from 'node:fs';
import { Failure, openProblem } from './failure.ts';

/** `key=value` fields of an option, in CSV: quotes keep commas. */
function fieldsOf(text: string): ReadonlyMap<string, string> {
  const fields = text.match(/(?:"(?:[^"]|"")*"|[^,])+/g) ?? [];
  return new Map(
    fields.map((field) => {
      const plain = /^".*"$/.test(field) ? field.slice(1, -1).replaceAll('""', '"') : field;
      const at = plain.indexOf('=');
      return at < 0 ? [plain.trim(), ''] : [plain.slice(0, at).trim().toLowerCase(), plain.slice(at + 1)];
    }),
  );
}

function refuseOthers(fields: ReadonlyMap<string, string>, known: readonly string[]): void {
  for (const key of fields.keys())
    if (!known.includes(key)) throw new Error(`unexpected key "${key}"; known are ${known.join(', ')}`);
}

/** Where the result goes. */
export type BuildOutput =
  | { readonly type: 'image'; readonly names: readonly string[]; readonly push: boolean }
  | { readonly type: 'local'; readonly dest: string }
  /** `-` is stdout. */
  | { readonly type: 'tar' | 'oci' | 'docker'; readonly dest: string; readonly names: readonly string[] };

/** `-o type=local,dest=out`, `-o out`, `-o -`. */
export function parseOutput(text: string): BuildOutput {
  if (text === '-') return { type: 'tar', dest: '-', names: [] };
  if (!text.includes('=')) return { type: 'local', dest: text };
  const fields = fieldsOf(text);
  refuseOthers(fields, ['type', 'dest', 'name', 'push']);
  const type = fields.get('type') ?? '';
  const dest = fields.get('dest') ?? '';
  const names = (fields.get('name') ?? '').split(',').filter((name) => name !== '');
  switch (type) {
    case 'local':
      if (dest === '') throw new Error('type=local needs dest=');
      return { type, dest };
    case 'tar':
    case 'oci':
      return { type, dest: dest || '-', names };
    case 'docker':
      return dest === '' ? { type: 'image', names, push: false } : { type, dest, names };
    case 'image':
    case 'registry':
      return { type: 'image', names, push: type === 'registry' || fields.get('push') === 'true' };
    default:
      throw new Error(`output type "${type}" is not known; it is image, registry, local, tar, oci or docker`);
  }
}

/** `id=mysecret[,src=/path]`, `id=mysecret,env=NAME`; without either, the variable of that name, or the file. */
export function parseSecret(text: string): readonly [id: string, value: () => Uint8Array] {
  const fields = fieldsOf(text);
  refuseOthers(fields, ['id', 'src', 'source', 'env', 'type']);
  const id = fields.get('id') ?? '';
  if (id === '') throw new Error('a secret needs id=');
  const type = fields.get('type');
  if (type !== undefined && type !== 'file' && type !== 'env') throw new Error(`secret type "${type}" is file or env`);
  const file = fields.get('src') ?? fields.get('source');
  const variable = fields.get('env') ?? (type === 'env' ? (file ?? id) : undefined);
  const read = () => {
    const name = variable ?? (file === undefined && type !== 'file' && process.env[id] !== undefined ? id : undefined);
    if (name !== undefined) {
      const value = process.env[name];
      if (value === undefined) throw new Failure(`--secret id=${id}: the variable ${name} is not set`, 1);
      return Buffer.from(value);
    }
    try {
      return readFileSync(file ?? id);
    } catch (error) {
      throw new Failure(`--secret id=${id}: ${openProblem(file ?? id, error)}`, 1);
    }
  };
  return [id, read];
}

/** What a name stands for in FROM and --from: an image, something the engine fetches, or a local directory. */
export type NamedSource = { readonly image: string } | { readonly url: string } | { readonly path: string };

export const isRemote = (text: string): boolean => /^(?:https?|git|ssh):\/\/|^git@|^github\.com\//.test(text);

/** `name=docker-image://busybox`, `name=https://…`, `name=../dir`. */
export function parseNamedContext(text: string): readonly [name: string, source: NamedSource] {
  const at = text.indexOf('=');
  if (at <= 0 || at === text.length - 1) throw new Error(`"${text}" is not name=source`);
  const name = text.slice(0, at);
  const source = text.slice(at + 1);
  if (source.startsWith('docker-image://')) return [name, { image: source.slice('docker-image://'.length) }];
  if (/^(?:oci-layout|target):/.test(source))
    throw new Error(`the source ${source} is not supported; it is docker-image://, a git or http URL, or a directory`);
  return [name, isRemote(source) ? { url: source } : { path: source }];
}

/** Where earlier results come from: an image, or a directory that `--cache-to type=local` wrote. */
export type CacheSource = { readonly ref: string } | { readonly src: string };

/** `image`, `type=registry,ref=image`, `type=local,src=dir`. */
export function parseCacheFrom(text: string): CacheSource {
  if (!text.includes('=')) return { ref: text };
  const fields = fieldsOf(text);
  refuseOthers(fields, ['type', 'ref', 'src']);
  const [type = 'registry', ref = '', src = ''] = [fields.get('type'), fields.get('ref'), fields.get('src')];
  if (type === 'registry' && ref !== '') return { ref };
  if (type === 'local' && src !== '') return { src };
  throw new Error('it is an image, type=registry,ref=image or type=local,src=dir');
}

/** Where results go; `dest` is for `local`. */
export interface CacheDestination {
  readonly type: 'inline' | 'registry' | 'local';
  readonly ref?: string;
  readonly dest?: string;
  readonly mode: string;
}

/** `type=inline`, `type=registry,ref=image[,mode=max]`, `type=local,dest=dir[,mode=max]`, or an image. */
export function parseCacheTo(text: string): CacheDestination {
  if (!text.includes('=')) return { type: 'registry', ref: text, mode: 'min' };
  const fields = fieldsOf(text);
  refuseOthers(fields, ['type', 'ref', 'dest', 'mode']);
  const [ref = '', dest = '', mode = 'min'] = [fields.get('ref'), fields.get('dest'), fields.get('mode')];
  if (mode !== 'min' && mode !== 'max') throw new Error(`mode "${mode}" is min or max`);
  const type = fields.get('type') ?? 'registry';
  if (type === 'inline') {
    if (mode === 'max') throw new Error('an inline cache holds the steps of the image itself; mode is min');
    return { type, mode };
  }
  if (type === 'registry' && ref !== '') return { type, ref, mode };
  if (type === 'local' && dest !== '') return { type, dest, mode };
  throw new Error('it is type=inline, type=registry,ref=image or type=local,dest=dir');
}

/** What is attested of the image. */
export interface WantedAttestations {
  readonly sbom?: boolean;
  readonly provenance?: 'min' | 'max' | undefined;
}

/** `true`, `false`, `mode=max`. */
export function parseProvenance(text: string): WantedAttestations {
  if (text === 'false') return { provenance: undefined };
  const mode = text === 'true' ? 'min' : (fieldsOf(text).get('mode') ?? 'min');
  if (mode !== 'min' && mode !== 'max') throw new Error(`mode "${mode}" is min or max`);
  if (text !== 'true') refuseOthers(fieldsOf(text), ['mode']);
  return { provenance: mode };
}

/** `true`, `false`: the scanner is the engine's own. */
export function parseSbom(text: string): WantedAttestations {
  if (text === 'true' || text === 'false') return { sbom: text === 'true' };
  throw new Error('it is true or false; the engine reads the databases of packages itself');
}

/** `type=sbom`, `type=provenance,mode=max`. */
export function parseAttest(text: string): WantedAttestations {
  const fields = fieldsOf(text);
  const type = fields.get('type');
  if (type === 'sbom') {
    refuseOthers(fields, ['type', 'disabled']);
    return { sbom: fields.get('disabled') !== 'true' };
  }
  if (type !== 'provenance') throw new Error(`type "${type ?? ''}" is sbom or provenance`);
  refuseOthers(fields, ['type', 'mode', 'disabled']);
  if (fields.get('disabled') === 'true') return { provenance: undefined };
  return parseProvenance(`mode=${fields.get('mode') ?? 'min'}`);
}

const progressModes = ['auto', 'plain', 'tty', 'rawjson', 'quiet'] as const;
export type ProgressMode = (typeof progressModes)[number];

export function parseProgress(written: string): ProgressMode {
  const mode = progressModes.find((one) => one === written);
  if (mode === undefined) throw new Error(`progress "${written}" is not known; it is ${progressModes.join(', ')}`);
  return mode;
}
