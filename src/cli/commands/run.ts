import type { SpanRow } from '#client/index.ts';
import { messageOf } from '#errors/index.ts';
import { attachToContainer } from '../attach-container.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { attachedStreams } from '../container-body.ts';
import { containerOptions } from '../container-options.ts';
import { createContainer } from '../create-container.ts';
import { Failure } from '../failure.ts';
import { flag, text } from '../options.ts';
import { writeError, writeOut } from '../output.ts';
import { runFailure, startExitCode } from '../run-failure.ts';
import { isTerminal } from '../terminal.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: 'Create and run a new container from an image',
  aliases: ['container run', 'run'],
  options: {
    ...containerOptions,
    detach: flag('Run container in background and print container ID', { short: 'd' }),
    'detach-keys': text('Override the key sequence for detaching a container'),
    'sig-proxy': flag('Proxy received signals to the process', { initial: true }),
    trace: flag('Print what was done to start the container, and how long each step took'),
  },
  args: [1, Number.POSITIVE_INFINITY],
  stopAtFirst: true,
  async run(context, flags) {
    const { engine, config, calledAs } = context;
    const { values } = flags;
    if (values.detach && values.attach.length > 0)
      throw new Failure('conflicting options: cannot specify both --attach and --detach', 1);
    let id: string;
    let spans = '';
    const streams = values.detach ? { stdin: false, stdout: false, stderr: false } : attachedStreams(flags);
    if (values.tty && streams.stdin && !isTerminal(0)) throw new Failure('the input device is not a TTY', 1);
    try {
      id = await createContainer(context, flags, streams);
    } catch (error) {
      throw runFailure(calledAs, error);
    }
    const startFailure = (error: unknown) => runFailure(calledAs, error, startExitCode(messageOf(error)));
    const start = async () => {
      try {
        await engine.json('POST', `/containers/${id}/start`);
      } catch (error) {
        throw startFailure(error);
      }
      if (values.trace) spans = await trace(context, id);
    };
    if (values.detach) {
      await start();
      writeError(spans);
      writeOut(`${id}\n`);
      return 0;
    }
    const code = await attachToContainer(
      engine,
      { id, tty: values.tty, autoRemove: values.rm },
      {
        streams,
        detachKeys: values['detach-keys'] || config.detachKeys || '',
        proxySignals: values['sig-proxy'],
        start,
        // The spans are asked for while the container is still there.
        ...(values.trace ? {} : { startFailure }),
      },
    );
    writeError(spans);
    return code;
  },
});

/** The start's spans as a table: when each began, how long it took, what it made in the kernel. */
async function trace({ engine }: CommandContext, id: string): Promise<string> {
  const spans = await engine.json<readonly SpanRow[]>('GET', `/gantry/containers/${id}/spans`);
  const { layOutTable } = await import('../table.ts');
  return layOutTable([
    'STEP\tAT\tTOOK\tMADE',
    ...spans.map((s) => `${s.name}\t${s.startMs.toFixed(2)} ms\t${s.durationMs.toFixed(2)} ms\t${s.made.join(', ')}`),
  ]);
}
