import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { GantryError, messageOf } from '#errors/index.ts';
import { type Process, parseExactJson, type Resources, type RuntimeSpec } from '#oci/index.ts';
import { idMappings, linuxRule } from './config-linux.ts';
import { processRule } from './config-process.ts';
import { resourcesRule } from './config-resources.ts';
import { absolutePath, filled, flag, integer, list, mapOf, matching, object, text } from './config-rules.ts';

const hooks = list(
  object({ path: absolutePath, args: list(text), env: list(text), timeout: integer(1, 2 ** 31 - 1) }, ['path']),
);

const mount = object(
  {
    destination: filled,
    type: text,
    source: text,
    options: list(text),
    uidMappings: idMappings,
    gidMappings: idMappings,
  },
  ['destination'],
);

/**
 * runtime-spec: config.md. The parts for other platforms are ignored, as is what the specification does not know
 * (config.md#extensibility).
 */
export const configRule = object(
  {
    ociVersion: matching(
      /^1\.\d+\.\d+([-+][\w.+-]*)?$/,
      'this runtime carries out version 1 of the runtime specification',
    ),
    process: processRule,
    root: object({ path: filled, readonly: flag }, ['path']),
    hostname: text,
    domainname: text,
    mounts: list(mount),
    annotations: mapOf(text),
    hooks: object({
      prestart: hooks,
      createRuntime: hooks,
      createContainer: hooks,
      startContainer: hooks,
      poststart: hooks,
      poststop: hooks,
    }),
    linux: linuxRule,
  },
  ['ociVersion', 'root', 'process'],
);

/** Beyond any configuration, and below what a walk through it has room for. */
const DEEPEST = 64;

/**
 * Takes away nulls in objects: those that Go's encoders write for empty lists mean the same as absence.
 * @throws RangeError where it is nested too deep
 */
function dropNulls(value: unknown, depth = 0): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > DEEPEST) throw new RangeError(`it is nested deeper than ${DEEPEST} levels`);
  for (const [name, entry] of Object.entries(value)) {
    if (entry !== null) dropNulls(entry, depth + 1);
    else if (!Array.isArray(value)) Reflect.deleteProperty(value, name);
  }
}

/** @throws GantryError invalid that names `path` */
function parseJson(json: string, path: string): unknown {
  try {
    const value = parseExactJson(json);
    dropNulls(value);
    return value;
  } catch (cause) {
    throw new GantryError('invalid', `${path} is no JSON that can be read: ${messageOf(cause)}`, { cause });
  }
}

/** A configuration that a container can be made of. */
export type Configuration = RuntimeSpec & Required<Pick<RuntimeSpec, 'root' | 'process'>>;

/**
 * Reads a bundle's config.json and checks every field before anything is made (runtime-spec: config.md).
 * @returns the configuration, with `root.path` absolute
 * @throws GantryError invalid | unsupported with the JSON pointer and value, not-found where there is no bundle
 */
export function readConfig(bundle: string): Configuration {
  const path = `${bundle}/config.json`;
  let json: string;
  try {
    json = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new GantryError('not-found', `no ${path}; give the bundle's directory with --bundle`, { cause });
  }
  return parseConfig(json, bundle);
}

/** {@link readConfig} from its text. */
export function parseConfig(json: string, bundle: string): Configuration {
  const value = parseJson(json, `${bundle}/config.json`);
  configRule(value, '');
  const spec = value as Configuration;
  return {
    ...spec,
    process: withUser(spec.process),
    root: { ...spec.root, path: resolve(bundle, spec.root.path) },
  };
}

/** A process's description, as `exec --process` gives it. @throws GantryError invalid | unsupported */
export function parseProcess(json: string, path: string): Process {
  const value = parseJson(json, path);
  processRule(value, '/process');
  return withUser(value as Process);
}

/** Limits, as `update --resources` gives them. @throws GantryError invalid | unsupported */
export function parseResources(json: string, path: string): Resources {
  const value = parseJson(json, path);
  resourcesRule(value, '/linux/resources');
  return value as Resources;
}

/** Root, where nobody is named. */
const withUser = (process: Process): Process => ({ ...process, user: { ...{ uid: 0, gid: 0 }, ...process.user } });
