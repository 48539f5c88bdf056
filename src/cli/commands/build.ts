import { statSync, writeFileSync } from 'node:fs';
import { jsonLines, type ProgressLine } from '#client/index.ts';
import { familiarReference, parseReference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { openBuildContext } from '../open-build-context.ts';
import { flag, list, text, unsupported, value } from '../options.ts';
import { writeError, writeOut } from '../output.ts';
import { showProgress } from '../progress-display.ts';
import { allCredentials, authHeader } from '../registry-credentials.ts';
import { isTerminal, windowSize } from '../terminal.ts';
import { humanSize } from '../units.ts';

const alwaysRemoved = (written: string): true => {
  if (written === 'false') throw new Error('there are no intermediate containers to keep');
  return true;
};

const progress = (written: string): string => {
  if (written !== 'auto' && written !== 'plain')
    throw new Error(`progress "${written}" is not supported; expected auto or plain`);
  return written;
};

export const command = defineCommand({
  usage: '[OPTIONS] PATH | -',
  summary: 'Build an image from a Dockerfile',
  aliases: ['image build', 'build', 'builder build'],
  options: {
    'add-host': unsupported('list'),
    'build-arg': list('Set build-time variables'),
    'cache-from': unsupported('strings'),
    'cgroup-parent': unsupported(),
    compress: unsupported(''),
    'cpu-period': unsupported('int'),
    'cpu-quota': unsupported('int'),
    'cpu-shares': unsupported('int', { short: 'c' }),
    'cpuset-cpus': unsupported(),
    'cpuset-mems': unsupported(),
    'disable-content-trust': unsupported(''),
    file: text('Name of the Dockerfile (Default is "PATH/Dockerfile")', { short: 'f' }),
    'force-rm': value('', alwaysRemoved, 'Always remove intermediate containers', { hidden: true }),
    iidfile: text('Write the image ID to the file'),
    isolation: unsupported(),
    label: list('Set metadata for an image'),
    memory: unsupported('bytes', { short: 'm' }),
    'memory-swap': unsupported('bytes'),
    network: text('Set the networking mode for the RUN instructions during build', { initial: 'default' }),
    'no-cache': flag('Do not use cache when building the image'),
    output: unsupported('stringArray', { short: 'o' }),
    platform: text('Set platform if server is multi-platform capable'),
    progress: value('string', progress, 'Kind of progress output: auto or plain, which are the same', { hidden: true }),
    pull: flag('Always attempt to pull a newer version of the image'),
    quiet: flag('Suppress the build output and print image ID on success', { short: 'q' }),
    rm: value('', alwaysRemoved, 'Remove intermediate containers after a successful build', { hidden: true }),
    secret: unsupported('stringArray'),
    'security-opt': unsupported('strings'),
    'shm-size': unsupported('bytes'),
    squash: unsupported(''),
    ssh: unsupported('stringArray'),
    tag: list('Name and optionally a tag in the "name:tag" format', { short: 't' }),
    target: text('Set the target build stage to build.'),
    ulimit: unsupported('ulimit'),
  },
  args: [1, 1],
  async run({ engine, configDirectory }, { values, args: [path = ''] }) {
    const tags = values.tag.map((tag) => familiarReference(parseReference(tag)));
    if (values.iidfile !== '' && statSync(values.iidfile, { throwIfNoEntry: false })?.isDirectory())
      throw new Failure(`--iidfile ${values.iidfile} is a directory`, 1);
    const { tar, dockerfile } = await openBuildContext(path, {
      file: values.file,
      onSkipped: (skipped, what) => writeError(`skipped ${skipped}: ${what} cannot be part of an image\n`),
    });
    const { body } = await engine.stream('POST', '/build', {
      query: {
        t: tags,
        dockerfile,
        buildargs: JSON.stringify(Object.fromEntries(values['build-arg'].map(buildArgument))),
        labels: JSON.stringify(Object.fromEntries(values.label.map(pair))),
        nocache: values['no-cache'] || undefined,
        pull: values.pull || undefined,
        q: values.quiet || undefined,
        target: values.target || undefined,
        networkmode: values.network === 'default' ? undefined : values.network,
        platform: values.platform || undefined,
        rm: true,
      },
      headers: { 'X-Registry-Config': authHeader(await allCredentials(configDirectory)) },
      body: values.quiet ? tar : counted(tar),
    });
    let imageId = '';
    const terminal = isTerminal(1);
    // Quiet, only the id is printed, unless the build fails: then what led there is wanted.
    const held: string[] = [];
    try {
      await showProgress(
        jsonLines<ProgressLine>(body),
        {
          write: values.quiet ? (line) => held.push(line) : writeOut,
          terminal: terminal && !values.quiet,
          columns: windowSize()?.columns ?? 80,
        },
        (aux) => {
          imageId = (aux as { ID?: string }).ID ?? imageId;
        },
      );
    } catch (error) {
      writeError(held.join(''));
      throw error;
    }
    if (values.quiet) {
      imageId ||= held.join('').trim();
      writeOut(`${imageId}\n`);
    }
    if (values.iidfile !== '') {
      if (imageId === '') throw new Failure(`cannot write ${values.iidfile}: the engine told no image ID`, 1);
      writeFileSync(values.iidfile, imageId);
    }
    return 0;
  },
});

const pair = (text: string): readonly [string, string] => {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
};

/** A bare NAME has the value it has here; null where it has none, and then the Dockerfile's default holds. */
const buildArgument = (text: string): readonly [string, string | null] =>
  text.includes('=') ? pair(text) : [text, process.env[text] ?? null];

/** Says how much was sent once it is. */
async function* counted(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let bytes = 0;
  for await (const chunk of tar) {
    bytes += chunk.length;
    yield chunk;
  }
  writeOut(`Sending build context to Gantry daemon  ${humanSize(bytes)}\n`);
}
