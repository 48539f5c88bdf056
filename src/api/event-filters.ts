import type { EngineEvent } from '#engine/index.ts';
import { labelsFit } from './query.ts';

/** Keys of `filters` of GET /events; of a swarm's kinds of things nothing is ever told. */
export const eventFilters = [
  ...['config', 'container', 'daemon', 'event', 'image', 'label', 'network', 'node', 'plugin'],
  ...['scope', 'secret', 'service', 'type', 'volume'],
];

const withoutTag = (name: string): string => name.replace(/@.*$|:[^:/]*$/, '');

/** Whether an event fits: each key must, by one of its values (Engine API: SystemEvents). */
export function eventTest(wanted: ReadonlyMap<string, readonly string[]>): (event: EngineEvent) => boolean {
  const some = (key: string, fits: (value: string) => boolean): boolean => wanted.get(key)?.some(fits) ?? true;
  const isOf = (event: EngineEvent, type: string, value: string): boolean =>
    event.type === type && (event.id.startsWith(value) || event.attributes.name === value);
  return (event) => {
    const { type, action, attributes } = event;
    // `exec_create: ls` is an `exec_create`.
    const [kind = ''] = action.split(':');
    const image = type === 'image' ? (attributes.name ?? event.id) : (attributes.image ?? '');
    return (
      some('type', (value) => value === type) &&
      some('event', (value) => value === action || value === kind) &&
      some('container', (value) => isOf(event, 'container', value)) &&
      some('volume', (value) => isOf(event, 'volume', value)) &&
      some('network', (value) => isOf(event, 'network', value)) &&
      some(
        'image',
        (value) =>
          (type === 'image' && event.id.startsWith(value)) ||
          image === value ||
          withoutTag(image) === withoutTag(value),
      ) &&
      some('scope', (value) => value === 'local') &&
      labelsFit(attributes, wanted.get('label')) &&
      ['config', 'daemon', 'node', 'plugin', 'secret', 'service'].every((key) => !wanted.has(key))
    );
  };
}
