import { type EventLine, textLines } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { filterOption, filtersOf } from '../filters.ts';
import { text } from '../options.ts';
import { writeOut } from '../output.ts';
import { localRfc3339, parseTime } from '../units.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Get real time events from the server',
  aliases: ['system events', 'events'],
  options: {
    filter: filterOption(),
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
    for await (const line of textLines(body)) if (line.trim() !== '') writeOut(`${render(line)}\n`);
    return 0;
  },
});

/** Renders one line of the engine's, which is one event's JSON. */
async function rendererOf(format: string): Promise<(line: string) => string> {
  if (format === 'json') return (line) => line.trim();
  if (format === '') return plain;
  const { parseTemplate } = await import('../go-template.ts');
  const template = parseTemplate(format);
  return (line) => template(JSON.parse(line));
}

/** `2026-11-24T22:06:39.123456789Z container create 4f… (image=busybox, name=x)` */
function plain(line: string): string {
  const { Type, Action, Actor, time } = JSON.parse(line) as EventLine;
  const attributes = Object.entries(Actor.Attributes ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .toSorted()
    .join(', ');
  // From the text, since nanoseconds since 1970 are more than a double holds.
  const nanoseconds = Number(/"timeNano":\s*(\d+)/.exec(line)?.[1]?.slice(-9) ?? 0);
  return `${localRfc3339(time, nanoseconds)} ${Type} ${Action} ${Actor.ID}${attributes === '' ? '' : ` (${attributes})`}`;
}
