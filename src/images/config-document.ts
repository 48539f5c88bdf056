import { GantryError } from '#errors/index.ts';
import type { ImageConfig } from '#oci/index.ts';
import { parseJsonObject } from './manifest-document.ts';

type Check = (value: unknown) => boolean;
const text: Check = (value) => typeof value === 'string';
const number: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const object: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const mapOf =
  (check: Check): Check =>
  (value) =>
    object(value) && Object.values(value as object).every(check);

const runFields: Readonly<Record<string, Check>> = {
  User: text,
  ExposedPorts: mapOf(object),
  Env: listOf(text),
  Entrypoint: listOf(text),
  Cmd: listOf(text),
  Volumes: mapOf(object),
  WorkingDir: text,
  Labels: mapOf(text),
  StopSignal: text,
  Shell: listOf(text),
  Healthcheck: object,
  OnBuild: listOf(text),
};
const healthFields: Readonly<Record<string, Check>> = {
  Test: listOf(text),
  Interval: number,
  Timeout: number,
  StartPeriod: number,
  StartInterval: number,
  Retries: number,
};
const topFields: Readonly<Record<string, Check>> = {
  created: text,
  author: text,
  architecture: text,
  os: text,
  variant: text,
  config: object,
  rootfs: object,
  history: listOf(object),
};

/** Docker writes `null` for what is not set; to the rest of the engine that is the same as absent. */
function checked(value: object, fields: Readonly<Record<string, Check>>, where: string, what: string) {
  const kept = Object.entries(value).filter(([, inner]) => inner !== null);
  for (const [key, inner] of kept) {
    const check = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (check !== undefined && !check(inner))
      throw new GantryError('corrupt', `the config of ${what} is not valid: ${where}${key} has the wrong type`, {
        code: 'config-invalid',
      });
  }
  return Object.fromEntries(kept) as Record<string, unknown>;
}

/**
 * Reads an image config (image-spec: config.md) and checks the type of every field the engine uses.
 * @throws GantryError corrupt (code `config-invalid`), naming the field
 */
export function parseConfigDocument(bytes: Uint8Array, what: string): ImageConfig {
  const top = checked(parseJsonObject(bytes, `the config of ${what}`), topFields, '', what);
  const fail = (why: string) =>
    new GantryError('corrupt', `the config of ${what} is not valid: ${why}`, { code: 'config-invalid' });
  if (top.architecture === undefined || top.os === undefined) throw fail('it names no architecture or os');
  const rootfs = checked((top.rootfs ?? {}) as object, {}, 'rootfs.', what);
  if (rootfs.type !== 'layers') throw fail('rootfs.type is not "layers"');
  const diffIds = rootfs.diff_ids ?? [];
  if (!Array.isArray(diffIds)) throw fail('rootfs.diff_ids is not a list');
  for (const id of diffIds)
    if (typeof id !== 'string' || !/^sha256:[0-9a-f]{64}$/.test(id)) throw fail(`"${String(id)}" is not a diff id`);
  const run = top.config === undefined ? undefined : checked(top.config as object, runFields, 'config.', what);
  if (run?.Healthcheck !== undefined)
    run.Healthcheck = checked(run.Healthcheck as object, healthFields, 'config.Healthcheck.', what);
  return {
    ...top,
    ...(run === undefined ? {} : { config: run }),
    rootfs: { type: 'layers', diff_ids: diffIds },
  } as unknown as ImageConfig;
}
