import { canonicalReference, parseReference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { manifestRegistry } from '../manifest-registry.ts';
import { manifestStore } from '../manifest-store.ts';
import { flag } from '../options.ts';
import { writeOut } from '../output.ts';

export const command = defineCommand({
  usage: 'MANIFEST_LIST MANIFEST [MANIFEST...]',
  summary: 'Create a local manifest list for annotating and pushing to a registry',
  options: {
    amend: flag('Amend an existing manifest list', { short: 'a' }),
    insecure: flag('Allow communication with an insecure registry'),
  },
  args: [2, Number.POSITIVE_INFINITY],
  async run({ configDirectory }, { values, args: [name = '', ...names] }) {
    const list = parseReference(name);
    const store = manifestStore(configDirectory);
    if (store.list(list) !== undefined && !values.amend)
      throw new Failure('refusing to amend an existing manifest list with no --amend flag', 1);
    using registry = manifestRegistry(configDirectory, values);
    for (const manifest of names.map((text) => parseReference(text))) {
      const kept = store.get(list, manifest);
      const found = kept === undefined ? await registry.find(manifest) : ({ kind: 'manifest', entry: kept } as const);
      if (found.kind === 'list') throw new Failure(`${canonicalReference(manifest)} is a manifest list`, 1);
      store.save(list, manifest, found.entry);
    }
    writeOut(`Created manifest list ${canonicalReference(list)}\n`);
    return 0;
  },
});
