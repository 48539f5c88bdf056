/** Bytes in the units that the command line uses. */
export function sizeText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}

/** How long ago, in the words of a person. */
export function agoText(iso: string): string {
  const seconds = (Date.now() - Date.parse(iso)) / 1000;
  const steps: readonly [number, Intl.RelativeTimeFormatUnit][] = [
    [60, 'second'],
    [3600, 'minute'],
    [86_400, 'hour'],
    [2_592_000, 'day'],
    [31_536_000, 'month'],
    [Number.POSITIVE_INFINITY, 'year'],
  ];
  const format = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  let length = 1;
  for (const [limit, unit] of steps) {
    if (seconds < limit) return format.format(-Math.max(0, Math.round(seconds / length)), unit);
    length = limit;
  }
  return iso;
}

export const shortDigest = (digest: string): string => digest.replace(/^(sha\d+:[0-9a-f]{12})[0-9a-f]+$/, '$1');

export const countText = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;

/** A part of the address: an image's name below this hub. */
export const reference = (repository: string, tag: string): string => `${location.host}/${repository}:${tag}`;
