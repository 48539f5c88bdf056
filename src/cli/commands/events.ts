import { type EventLine, jsonLines } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { filtersOf } from '../filters.ts';
import { list, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { localRfc3339, parseTime } from '../units.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Get real time events from the server',
  aliases: ['system events', 'events'],
  options: {
    filter: list('Filter output based on conditions provided', { short: 'f', label: 'filter' }),
    format: text("Format output: 'json' or a Go template"),
    since: text('Show all events created since timestamp'),
    until: text('Stream events until this timestamp'),
  },
  args: [0, 0],
  async run({ engine }, { values }) {
    const render = await rendererOf(values.format);
    const { body } = await engine.stream('GET', '/events', {
      query: {
        since: values.since === '' ? undefined : parseTime(values.since),
        until: values.until === '' ? undefined : parseTime(values.until),
        filters: filtersOf(values.filter),
      },
    });
    for await (const event of jsonLines<EventLine>(body)) writeOut(`${render(event)}\n`);
    return 0;
  },
});

async function rendererOf(format: string): Promise<(event: EventLine) => string> {
  if (format === 'json') return (event) => JSON.stringify(event);
  if (format === '') return plain;
  const { parseTemplate } = await import('../go-template.ts');
  return parseTemplate(format);
}

/** `2026-11-24T22:06:39.123456789Z container create 4f… (image=busybox, name=x)` */
function plain({ Type, Action, Actor, time, timeNano }: EventLine): string {
  const attributes = Object.entries(Actor.Attributes ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .toSorted()
    .join(', ');
  // timeNano is beyond what a double holds; only its digits below the second are of use.
  const nanoseconds = Math.max(0, Math.min(999_999_999, timeNano - time * 1e9));
  return `${localRfc3339(time, nanoseconds)} ${Type} ${Action} ${Actor.ID}${attributes === '' ? '' : ` (${attributes})`}`;
}
