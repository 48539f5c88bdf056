import { GantryError } from '#errors/index.ts';
import type { IdMapping } from '#oci/index.ts';
import type { PlanStep } from './plan.ts';

/** Slots with one meaning in every plan; others are given out by a {@link Preparation}. */
export const slots = { cgroup: 0, task: 1, agent: 2, label: 3, root: 4 } as const;
const firstFree = 5;
const slotCount = 256;

/** `0 100000 65536`, a line each (user_namespaces(7)). */
const mapText = (mappings: readonly IdMapping[]) =>
  mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');

/** What the parent makes before the clone, with the host's rights and in the host's namespaces, and the slots that carry it across. */
export class Preparation {
  readonly steps: PlanStep[] = [];
  readonly #userNamespaces = new Map<string, number>();
  #next = firstFree;

  /** A slot of the plan that is nobody else's. @throws GantryError exhausted */
  slot(): number {
    if (this.#next === slotCount)
      throw new GantryError('exhausted', `more than ${slotCount} mounts and namespaces to prepare; use fewer mounts`);
    return this.#next++;
  }

  /** The slot of a user namespace with these mappings, made once. @throws GantryError invalid where one is empty */
  userNamespace(uids: readonly IdMapping[] = [], gids: readonly IdMapping[] = [], field: string): number {
    if (uids.length === 0 || gids.length === 0)
      throw new GantryError('invalid', `${field}: it needs uidMappings and gidMappings`);
    const maps = [mapText(uids), mapText(gids)] as const;
    const known = this.#userNamespaces.get(maps.join('\n'));
    if (known !== undefined) return known;
    const slot = this.slot();
    this.#userNamespaces.set(maps.join('\n'), slot);
    this.steps.push({ name: 'user-namespace', args: [slot, ...maps], about: `${field}: making a user namespace` });
    return slot;
  }

  /** Makes the current mount here; the steps that make it the current one of the child. */
  hold(make: readonly PlanStep[]): readonly PlanStep[] {
    const slot = this.slot();
    this.steps.push(...make, { name: 'hold', args: [slot] });
    return [{ name: 'take', args: [slot] }];
  }
}
