import { createReadStream } from 'node:fs';
import { readTar } from '#tar/index.ts';
import { defineCommand } from '../command.ts';
import {
  type Context,
  checkContextName,
  contextExists,
  parseContext,
  tlsNames,
  writeContext,
} from '../context-store.ts';
import { Failure, openProblem } from '../failure.ts';
import { writeError, writeOut } from '../output.ts';

/** More than any certificate has, and little enough to hold. */
const largest = 10 * 1024 * 1024;

export const command = defineCommand({
  usage: 'CONTEXT FILE|-',
  summary: 'Import a context from a tar archive',
  options: {},
  args: [2, 2],
  async run({ configDirectory: directory }, { args: [name = '', file = ''] }) {
    checkContextName(name);
    if (contextExists(directory, name)) throw new Failure(`context "${name}" already exists`, 1);
    const { context, tls } = await readArchive(file);
    writeContext(directory, { ...context, Name: name }, tls);
    writeOut(`${name}\n`);
    writeError(`Successfully imported context "${name}"\n`);
    return 0;
  },
});

/** Nothing of the archive names where anything is written: of its files only those known by name are taken. */
async function readArchive(file: string): Promise<{ context: Context; tls: Record<string, Buffer> }> {
  const source = file === '-' ? process.stdin : createReadStream(file);
  let context: Context | undefined;
  const tls: Record<string, Buffer> = {};
  let size = 0;
  try {
    for await (const entry of readTar(bounded(source))) {
      if (entry.type !== 'file') continue;
      const content = await entry.bytes(largest);
      const pem = tlsNames.find((known) => entry.name === `tls/docker/${known}`);
      if (entry.name === 'meta.json') context = parseContext(content.toString('utf8'), `${file}: meta.json`);
      else if (pem !== undefined) tls[pem] = content;
      else throw new Failure(`${file}: unexpected context file ${JSON.stringify(entry.name)}`, 1);
    }
  } catch (error) {
    if (
      typeof (error as NodeJS.ErrnoException).code === 'string' &&
      (error as NodeJS.ErrnoException).syscall === 'open'
    )
      throw new Failure(openProblem(file, error), 1);
    throw error;
  }
  if (context === undefined) throw new Failure(`${file}: invalid context: no metadata found`, 1);
  return { context, tls };

  async function* bounded(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
    for await (const chunk of bytes) {
      if (size === 0 && chunk.toString('latin1', 0, 4) === 'PK\x03\x04')
        throw new Failure(`${file} is a zip file, which is not supported; export the context as a tar`, 1);
      size += chunk.length;
      if (size > largest) throw new Failure(`${file} is larger than ${largest} bytes; that is no context`, 1);
      yield chunk;
    }
  }
}
