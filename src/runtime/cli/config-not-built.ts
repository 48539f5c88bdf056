import { GantryError } from '#errors/index.ts';
import { isObject, shown } from './config-rules.ts';

/** Parts of the specification that are understood and not carried out; `*` stands for every entry of a list. */
const notBuilt: readonly string[] = ['/linux/intelRdt'];

/** Whether a part of the configuration is carried out; `pointer` as in the list above. */
export const isBuilt = (pointer: string): boolean => !notBuilt.includes(pointer);

const isNothing = (value: unknown): boolean =>
  value === undefined ||
  value === '' ||
  value === false ||
  value === 0 ||
  (Array.isArray(value) && value.length === 0) ||
  (isObject(value) && Object.values(value).every(isNothing));

function find(value: unknown, names: readonly string[], pointer: string): void {
  const [name, ...rest] = names;
  if (name === undefined) {
    if (isNothing(value)) return;
    throw new GantryError(
      'unsupported',
      `config.json: ${pointer} is ${shown(value)}; gantry-runtime does not support it, leave it out`,
    );
  }
  if (name === '*') {
    if (Array.isArray(value)) for (const [i, entry] of value.entries()) find(entry, rest, `${pointer}/${i}`);
  } else if (isObject(value)) find(value[name], rest, `${pointer}/${name}`);
}

/**
 * Refuses what would be ignored, unless it asks for nothing. `value` stands at `pointer` in a configuration that fits the
 * schema. @throws GantryError unsupported
 */
export function refuseNotBuilt(value: unknown, pointer = ''): void {
  for (const path of notBuilt)
    if (path.startsWith(`${pointer}/`)) find(value, path.slice(pointer.length + 1).split('/'), pointer);
}
