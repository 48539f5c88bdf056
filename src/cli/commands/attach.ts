import type { ContainerInspection } from '#client/index.ts';
import { attachToContainer } from '../attach-container.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { flag, text } from '../options.ts';
import { isTerminal } from '../terminal.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER',
  summary: 'Attach local standard input, output, and error streams to a running container',
  aliases: ['container attach', 'attach'],
  options: {
    'detach-keys': text('Override the key sequence for detaching a container'),
    'no-stdin': flag('Do not attach STDIN'),
    'sig-proxy': flag('Proxy all received signals to the process', { initial: true }),
  },
  args: [1, 1],
  async run({ engine, config }, { values, args: [name = ''] }) {
    const found = await engine.json<ContainerInspection>('GET', `/containers/${encodeURIComponent(name)}/json`);
    if (!found.State.Running) throw new Failure('You cannot attach to a stopped container, start it first', 1);
    if (found.State.Paused) throw new Failure('You cannot attach to a paused container, unpause it first', 1);
    if (found.State.Restarting)
      throw new Failure('You cannot attach to a restarting container, wait until it is running', 1);
    const stdin = !values['no-stdin'] && found.Config.OpenStdin;
    if (stdin && found.Config.Tty && !isTerminal(0)) throw new Failure('the input device is not a TTY', 1);
    const target = { id: found.Id, tty: found.Config.Tty, autoRemove: found.HostConfig.AutoRemove };
    return await attachToContainer(engine, target, {
      streams: { stdin, stdout: true, stderr: true },
      detachKeys: values['detach-keys'] || config.detachKeys || '',
      proxySignals: values['sig-proxy'],
    });
  },
});
