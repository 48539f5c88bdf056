import { writeFileSync } from 'node:fs';
import { encodeTarHeader, endOfArchive, tarPadding } from '#tar/index.ts';
import { defineCommand } from '../command.ts';
import { contextNamed } from '../context-endpoint.ts';
import { readTls } from '../context-store.ts';
import { Failure } from '../failure.ts';
import { writeError, writeOut } from '../output.ts';
import { isTerminal } from '../terminal.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTEXT [FILE|-]',
  summary: 'Export a context to a tar archive FILE or a tar stream on STDOUT.',
  options: {},
  args: [1, 2],
  async run({ configDirectory: directory }, { args: [name = '', file = `${name}.dockercontext`] }) {
    const archive = archiveOf(directory, name);
    if (file === '-') {
      if (isTerminal(1)) throw new Failure('cowardly refusing to export to a terminal, specify a file path', 1);
      writeOut(archive);
      return 0;
    }
    try {
      writeFileSync(file, archive, { mode: 0o600, flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      throw new Failure(`open ${file}: file exists`, 1);
    }
    writeError(`Written file "${file}"\n`);
    return 0;
  },
});

/** As Docker's clients write it: `meta.json`, then `tls/docker/*.pem`. */
function archiveOf(directory: string, name: string): Buffer {
  const context = contextNamed(directory, name);
  const files = name === 'default' ? {} : readTls(directory, name);
  const parts: Buffer[] = [];
  const file = (path: string, mode: number, content: Buffer) =>
    parts.push(
      encodeTarHeader({ name: path, type: 'file', mode, size: content.length }),
      content,
      tarPadding(content.length),
    );
  const folder = (path: string) => parts.push(encodeTarHeader({ name: path, type: 'directory', mode: 0o700 }));
  file('meta.json', 0o644, Buffer.from(JSON.stringify(context)));
  folder('tls');
  if (Object.keys(files).length > 0) folder('tls/docker');
  for (const [path, content] of Object.entries(files)) file(`tls/docker/${path}`, 0o600, content);
  return Buffer.concat([...parts, endOfArchive]);
}
