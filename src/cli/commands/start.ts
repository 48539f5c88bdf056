import type { ContainerInspection } from '#client/index.ts';
import { attachToContainer } from '../attach-container.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { forEachName } from '../for-each-name.ts';
import { flag, text, unsupported } from '../options.ts';
import { isTerminal } from '../terminal.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Start one or more stopped containers',
  aliases: ['container start', 'start'],
  options: {
    attach: flag('Attach STDOUT/STDERR and forward signals', { short: 'a' }),
    checkpoint: unsupported('Restore from this checkpoint'),
    'checkpoint-dir': unsupported('Use a custom checkpoint storage directory'),
    'detach-keys': text('Override the key sequence for detaching a container'),
    interactive: flag("Attach container's STDIN", { short: 'i' }),
    'sig-proxy': flag('Proxy received signals to the process', { initial: true, hidden: true }),
  },
  args: [1, Number.POSITIVE_INFINITY],
  async run({ engine, config }, { values, args }) {
    const start = (name: string) => engine.json<undefined>('POST', `/containers/${encodeURIComponent(name)}/start`);
    if (!values.attach && !values.interactive)
      return await forEachName(args, start, (failed) => `Error: failed to start containers: ${failed.join(', ')}`);
    const [name = '', ...more] = args;
    if (more.length > 0) throw new Failure('you cannot start and attach multiple containers at once', 1);
    const found = await engine.json<ContainerInspection>('GET', `/containers/${encodeURIComponent(name)}/json`);
    const stdin = values.interactive && found.Config.OpenStdin;
    if (stdin && found.Config.Tty && !isTerminal(0)) throw new Failure('the input device is not a TTY', 1);
    const target = { id: found.Id, tty: found.Config.Tty, autoRemove: found.HostConfig.AutoRemove };
    return await attachToContainer(engine, target, {
      streams: { stdin, stdout: true, stderr: true },
      detachKeys: values['detach-keys'] || config.detachKeys || '',
      proxySignals: values['sig-proxy'],
      start: () => start(name),
    });
  },
});
