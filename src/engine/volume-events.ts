import type { Volumes } from '#volumes/index.ts';
import type { Context } from './context.ts';
import type { Container, Events } from './engine.ts';

/** Volumes whose making and end are told as events, whoever asks for them. */
export function tellingVolumes(volumes: Volumes, events: Pick<Events, 'publish'>): Volumes {
  const tell = (action: string, id: string) =>
    events.publish({ type: 'volume', action, id, attributes: { driver: 'local' } });
  return {
    ...volumes,
    async create(request) {
      const known = request.name === undefined ? undefined : volumes.get(request.name);
      const made = await volumes.create(request);
      if (known === undefined) tell('create', made.name);
      return made;
    },
    async remove(name) {
      await volumes.remove(name);
      tell('destroy', name);
    },
  };
}

/** Tells of each volume that a container has it now, or has it no longer. */
export function tellVolumes(
  { events }: Pick<Context, 'events'>,
  { id: container, mounts }: Pick<Container, 'id' | 'mounts'>,
  action: 'mount' | 'unmount',
): void {
  for (const { type, name = '', target, readOnly, propagation = '' } of mounts)
    if (type === 'volume') {
      const place = { destination: target, 'read/write': String(!readOnly), propagation };
      const attributes = { container, driver: 'local', ...(action === 'mount' ? place : {}) };
      events.publish({ type: 'volume', action, id: name, attributes });
    }
}
