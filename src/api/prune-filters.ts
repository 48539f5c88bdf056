import { GantryError } from '#errors/index.ts';
import { labelsFit } from './query.ts';

type Filters = ReadonlyMap<string, readonly string[]>;

/** Whether labels have all that `label` wants, and none that `label!` names. */
export const labelsMatch = (labels: Readonly<Record<string, string>>, filters: Filters): boolean =>
  labelsFit(labels, filters.get('label')) && !(filters.get('label!') ?? []).some((text) => labelsFit(labels, [text]));

const unit: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400 };

/** `until=` of prune: RFC 3339, seconds, or an age such as 10m or 1h30m. @throws GantryError invalid */
export function isOlderThan(created: string, filters: Filters, now = Date.now()): boolean {
  return (filters.get('until') ?? []).every((text) => Date.parse(created) <= momentOf(text, now));
}

function momentOf(text: string, now: number): number {
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (/^(?:\d+(?:\.\d+)?[smhd])+$/.test(text))
    return (
      now -
      1000 *
        [...text.matchAll(/(\d+(?:\.\d+)?)([smhd])/g)].reduce(
          (sum, [, count, name = '']) => sum + Number(count) * (unit[name] ?? 0),
          0,
        )
    );
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new GantryError('invalid', `the filter until="${text}" is no time and no age`);
  return time;
}
