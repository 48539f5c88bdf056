import { canonicalReference, parseReference, type Reference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { indentJson } from '../indent-json.ts';
import { entryText, listText, type ManifestEntry, shownEntry } from '../manifest-entry.ts';
import { manifestRegistry } from '../manifest-registry.ts';
import { manifestStore } from '../manifest-store.ts';
import { flag } from '../options.ts';
import { writeOut } from '../output.ts';
import { sameRegistry } from '../same-registry.ts';

export const command = defineCommand({
  usage: '[OPTIONS] [MANIFEST_LIST] MANIFEST',
  summary: 'Display an image manifest, or manifest list',
  options: {
    insecure: flag('Allow communication with an insecure registry'),
    verbose: flag('Output additional info including layers and platform', { short: 'v' }),
  },
  args: [1, 2],
  async run({ configDirectory }, { values, args }) {
    const store = manifestStore(configDirectory);
    const reference = parseReference(args.at(-1) ?? '');
    if (args.length === 2) {
      const entry = store.get(parseReference(args[0] ?? ''), reference);
      if (entry === undefined) throw new Failure(`No such manifest: ${canonicalReference(reference)}`, 1);
      writeOut(`${oneText(entry, values)}\n`);
      return 0;
    }
    const local = store.list(reference);
    if (local !== undefined) {
      writeOut(`${manyText(reference, local, values)}\n`);
      return 0;
    }
    using registry = manifestRegistry(configDirectory, values);
    const found = await registry.find(reference);
    writeOut(
      `${found.kind === 'manifest' ? oneText(found.entry, values) : manyText(reference, found.entries, values)}\n`,
    );
    return 0;
  },
});

const oneText = (entry: ManifestEntry, { verbose }: { verbose: boolean }) =>
  verbose ? shownEntry(entry) : indentJson(entry.raw.toString('utf8'), '\t');

function manyText(list: Reference, entries: readonly ManifestEntry[], { verbose }: { verbose: boolean }): string {
  if (verbose) return indentJson(`[${entries.map(entryText).join(',')}]`, '\t');
  sameRegistry(list, entries);
  return listText(entries).text;
}
