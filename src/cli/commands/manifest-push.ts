import { canonicalReference, parseReference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { listText } from '../manifest-entry.ts';
import { manifestRegistry } from '../manifest-registry.ts';
import { manifestStore } from '../manifest-store.ts';
import { flag } from '../options.ts';
import { writeOut } from '../output.ts';
import { sameRegistry } from '../same-registry.ts';

export const command = defineCommand({
  usage: '[OPTIONS] MANIFEST_LIST',
  summary: 'Push a manifest list to a repository',
  options: {
    insecure: flag('Allow push to an insecure registry'),
    purge: flag('Remove the local manifest list after push', { short: 'p' }),
  },
  args: [1, 1],
  async run({ configDirectory }, { values, args: [name = ''] }) {
    const list = parseReference(name);
    const store = manifestStore(configDirectory);
    const entries = store.list(list) ?? [];
    if (entries.length === 0) throw new Failure(`No such manifest: ${canonicalReference(list)}`, 1);
    sameRegistry(list, entries);
    const { mediaType, text } = listText(entries);
    using registry = manifestRegistry(configDirectory, values);
    const { registry: host, repository } = list;
    for (const entry of entries) {
      const from = parseReference(entry.ref);
      if (from.repository === repository) continue; // it is where the list goes
      const to = { registry: host, repository, digest: entry.digest };
      await registry.copy(entry, from, to);
      const digest = await registry.put(to, { mediaType: entry.mediaType, bytes: entry.raw });
      writeOut(`Pushed ref ${canonicalReference(to)} with digest: ${digest}\n`);
    }
    writeOut(`${await registry.put(list, { mediaType, bytes: Buffer.from(text) })}\n`);
    if (values.purge) store.remove(list);
    return 0;
  },
});
