import { GantryError } from '#errors/index.ts';
import { canonicalReference, parseReference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { forEachName } from '../for-each-name.ts';
import { manifestStore } from '../manifest-store.ts';

export const command = defineCommand({
  usage: 'MANIFEST_LIST [MANIFEST_LIST...]',
  summary: 'Delete one or more manifest lists from local storage',
  options: {},
  args: [1, Number.POSITIVE_INFINITY],
  async run({ configDirectory }, { args }) {
    const store = manifestStore(configDirectory);
    return await forEachName(args, async (name) => {
      const list = parseReference(name);
      if (store.list(list) === undefined)
        throw new GantryError('not-found', `No such manifest: ${canonicalReference(list)}`);
      store.remove(list);
      return null;
    });
  },
});
