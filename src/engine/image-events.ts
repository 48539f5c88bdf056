import type { Images, RemovedName } from '#images/index.ts';
import { familiarReference, isDigest, parseReference } from '#oci/index.ts';
import type { Events } from './engine.ts';

/** A name as people write it; an id as it is. */
const shownName = (name: string): string => (isDigest(name) ? name : familiarReference(parseReference(name)));

/** Images whose changes are told as events, as Docker names them. */
export function tellingImages(images: Images, events: Pick<Events, 'publish'>): Images {
  const tell = (action: string, id: string, name = id) =>
    events.publish({ type: 'image', action, id, attributes: { name: shownName(name) } });
  const tellRemoved = (removed: readonly RemovedName[], ids: ReadonlyMap<string, string>) => {
    for (const one of removed)
      if ('deleted' in one) tell('delete', one.deleted);
      else tell('untag', ids.get(one.untagged) ?? one.untagged, one.untagged);
  };
  /** Names do not tell afterwards what they stood for. */
  const idsByName = async () =>
    new Map((await images.list()).flatMap(({ id, tags }) => tags.map((tag) => [tag, id] as const)));
  return {
    ...images,
    async pull(reference, options) {
      const image = await images.pull(reference, options);
      tell('pull', image.id, reference);
      return image;
    },
    async push(reference, options) {
      const pushed = await images.push(reference, options);
      tell('push', (await images.get(reference)).id, reference);
      return pushed;
    },
    async tag(nameOrId, reference) {
      await images.tag(nameOrId, reference);
      tell('tag', (await images.get(nameOrId)).id, reference);
    },
    async remove(nameOrId, options) {
      const ids = await idsByName();
      const removed = await images.remove(nameOrId, options);
      tellRemoved(removed, ids);
      return removed;
    },
    async load(source, options) {
      const names = await images.load(source, options);
      for (const name of names) tell('load', (await images.get(name)).id, name);
      return names;
    },
    async save(references, options) {
      const archive = await images.save(references, options);
      for (const name of references) tell('save', (await images.get(name)).id, name);
      return archive;
    },
    async import(source, options) {
      const image = await images.import(source, options);
      tell('import', image.id, options.reference ?? image.id);
      return image;
    },
    async prune(options) {
      const ids = await idsByName();
      const pruned = await images.prune(options);
      tellRemoved(pruned.removed, ids);
      events.publish({ type: 'image', action: 'prune', id: '', attributes: { reclaimed: String(pruned.reclaimed) } });
      return pruned;
    },
  };
}
