import { type ContainerInspection, demultiplex } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { flag, text } from '../options.ts';
import { writeError, writeOut } from '../output.ts';
import { parseTime } from '../units.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER',
  summary: 'Fetch the logs of a container',
  aliases: ['container logs', 'logs'],
  options: {
    details: flag('Show extra details provided to logs'),
    follow: flag('Follow log output', { short: 'f' }),
    since: text('Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'),
    tail: text('Number of lines to show from the end of the logs', { short: 'n', initial: 'all' }),
    timestamps: flag('Show timestamps', { short: 't' }),
    until: text('Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'),
  },
  args: [1, 1],
  async run({ engine }, { values, args: [name = ''] }) {
    const id = encodeURIComponent(name);
    const { Config } = await engine.json<ContainerInspection>('GET', `/containers/${id}/json`);
    const { body } = await engine.stream('GET', `/containers/${id}/logs`, {
      query: {
        stdout: true,
        stderr: true,
        follow: values.follow || undefined,
        timestamps: values.timestamps || undefined,
        details: values.details || undefined,
        tail: values.tail,
        since: values.since === '' ? undefined : parseTime(values.since),
        until: values.until === '' ? undefined : parseTime(values.until),
      },
    });
    if (Config.Tty) for await (const data of body) writeOut(data);
    else for await (const { stream, data } of demultiplex(body)) (stream === 'stdout' ? writeOut : writeError)(data);
    return 0;
  },
});
