import { messageOf } from '#errors/index.ts';
import { defineCommand } from '../command.ts';
import { contextNamed } from '../context-endpoint.ts';
import { metadataPath, readTls, tlsPath } from '../context-store.ts';
import { writeInspected } from '../inspect-objects.ts';
import { text } from '../options.ts';

export const command = defineCommand({
  usage: '[OPTIONS] [CONTEXT] [CONTEXT...]',
  summary: 'Display detailed information on one or more contexts',
  options: { format: text("Format output: 'json' or a Go template", { short: 'f' }) },
  args: [0, Number.POSITIVE_INFINITY],
  async run({ configDirectory: directory, contextName }, { values, args }) {
    const found: string[] = [];
    const problems: string[] = [];
    for (const name of args.length === 0 ? [contextName] : args)
      try {
        found.push(JSON.stringify(inspectionOf(directory, name)).replaceAll('<', '\\u003c').replaceAll('>', '\\u003e'));
      } catch (error) {
        problems.push(messageOf(error));
      }
    return await writeInspected(found, problems, values.format);
  },
});

function inspectionOf(directory: string, name: string) {
  const { Name, Metadata, Endpoints } = contextNamed(directory, name);
  const stored = name !== 'default';
  const files = stored ? Object.keys(readTls(directory, name)) : [];
  return {
    Name,
    Metadata,
    Endpoints,
    TLSMaterial: files.length === 0 ? {} : { docker: files.toSorted() },
    Storage: {
      MetadataPath: stored ? metadataPath(directory, name) : '<IN MEMORY>',
      TLSPath: stored ? tlsPath(directory, name) : '<IN MEMORY>',
    },
  };
}
