import { jsonLines, type ProgressLine } from '#client/index.ts';
import { familiarName, parseReference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { flag, unsupported } from '../options.ts';
import { writeOut } from '../output.ts';
import { showProgress } from '../progress-display.ts';
import { authHeader, credentialsFor } from '../registry-credentials.ts';
import { isTerminal, windowSize } from '../terminal.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NAME[:TAG]',
  summary: 'Upload an image to a registry',
  aliases: ['image push', 'push'],
  options: {
    'all-tags': unsupported('', { short: 'a' }),
    'disable-content-trust': unsupported(''),
    platform: unsupported(),
    quiet: flag('Suppress verbose output', { short: 'q' }),
  },
  args: [1, 1],
  async run({ engine, configDirectory }, { values, args: [name = ''] }) {
    const bare = parseReference(name, null);
    if (bare.digest !== undefined) throw new Failure(`cannot push a digest reference: ${name}`, 1);
    if (bare.tag === undefined && !values.quiet) writeOut('Using default tag: latest\n');
    const reference = parseReference(name);
    const auth = await credentialsFor(configDirectory, reference.registry);
    const { body } = await engine.stream('POST', `/images/${familiarName(reference)}/push`, {
      query: { tag: reference.tag },
      headers: { 'X-Registry-Auth': authHeader(auth ?? {}) },
    });
    const terminal = isTerminal(1);
    await showProgress(jsonLines<ProgressLine>(body), {
      write: values.quiet ? () => {} : writeOut,
      terminal,
      ...(terminal ? { columns: windowSize()?.columns ?? 80 } : {}),
    });
    if (values.quiet) writeOut(`${reference.registry}/${reference.repository}:${reference.tag}\n`);
    return 0;
  },
});
