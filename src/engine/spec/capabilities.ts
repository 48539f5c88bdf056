import { GantryError } from '#errors/index.ts';
import type { Capabilities } from '#oci/index.ts';
import type { ContainerOptions } from '../engine.ts';
import { allCapabilities, defaultCapabilities } from './defaults.ts';

/** `net_admin`, `NET_ADMIN` and `CAP_NET_ADMIN` are one; `ALL` is kept as it is. @throws GantryError invalid */
function fullName(name: string): string {
  const plain = name.toUpperCase().replace(/^CAP_/, '');
  if (plain === 'ALL') return plain;
  const full = `CAP_${plain}`;
  if (!allCapabilities.includes(full)) throw new GantryError('invalid', `unknown capability: "${name}"`);
  return full;
}

/**
 * The default ones, with those added and without those dropped; `ALL`, of either, is all that are `possible`.
 * @throws GantryError invalid
 */
export function capabilitiesOf(
  options: Pick<ContainerOptions, 'privileged' | 'capAdd' | 'capDrop'>,
  possible: readonly string[],
): readonly string[] {
  if (options.privileged) return possible;
  const add = (options.capAdd ?? []).map(fullName);
  const drop = (options.capDrop ?? []).map(fullName);
  const base = add.includes('ALL') ? possible : drop.includes('ALL') ? [] : defaultCapabilities;
  const wanted = new Set([...base, ...add.filter((name) => name !== 'ALL')]);
  for (const name of drop) wanted.delete(name);
  return [...wanted].filter((name) => possible.includes(name));
}

/** What is said of capabilities that are asked for by name and that the engine cannot give. @throws GantryError invalid */
export const impossibleCapabilities = (
  { capAdd = [] }: Pick<ContainerOptions, 'capAdd'>,
  possible: readonly string[],
): readonly string[] =>
  capAdd
    .map(fullName)
    .filter((name) => name !== 'ALL' && !possible.includes(name))
    .map((name) => `The engine itself lacks ${name}, so the container does not get it.`);

/** A process's five sets: only root has any in effect, and none are inherited (CVE-2022-24769). */
export const capabilitySets = (bounding: readonly string[], root: boolean): Capabilities => ({
  bounding,
  permitted: root ? bounding : [],
  effective: root ? bounding : [],
  inheritable: [],
  ambient: [],
});
