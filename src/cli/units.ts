import { GantryError } from '#errors/index.ts';

/** A number with `precision` significant digits as C's %g writes it: no trailing zeros, `1e+03` where digits run out. */
function general(number: number, precision: number): string {
  const text = number.toPrecision(precision);
  const [mantissa = '', exponent] = text.split('e');
  const short = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa;
  if (exponent === undefined) return short;
  return `${short}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
}

function scaled(bytes: number, base: number, units: readonly string[], precision: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= base && unit < units.length - 1) {
    size /= base;
    unit++;
  }
  return general(size, precision) + units[unit];
}

const decimal = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'];
const binary = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB'];

/** Bytes in powers of 1000: `4.26MB`. Tables use 3 digits, progress 4. */
export const humanSize = (bytes: number, precision = 4): string => scaled(bytes, 1000, decimal, precision);

/** Bytes in powers of 1024: `23.54GiB`. */
export const binarySize = (bytes: number): string => scaled(bytes, 1024, binary, 4);

/** How long ago, as Docker's tables say it: `3 minutes`, `About an hour`. */
export function humanDuration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 1) return 'Less than a second';
  if (whole === 1) return '1 second';
  if (whole < 60) return `${whole} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(seconds / 3600 + 0.5);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(seconds / 3600 / 24 / 365)} years`;
}

/** `2 hours ago` of a Unix time in seconds. */
export const ago = (unixSeconds: number, now = Date.now()): string => `${humanDuration(now / 1000 - unixSeconds)} ago`;

/** Bytes of `512`, `64m`, `1.5GiB` (powers of 1024). @throws GantryError invalid */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])?i?b?)$/i.exec(text);
  if (match === null) throw new GantryError('invalid', `invalid size: '${text}'`);
  return Math.floor(Number(match[1]) * 1024 ** ('kmgtp'.indexOf((match[2] ?? '').toLowerCase() || '-') + 1));
}

const nanoseconds: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Nanoseconds of `1h2m3.5s`. @throws GantryError invalid */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text)
    throw new GantryError('invalid', `invalid duration "${text}"; expected e.g. 30s, 1m30s or 500ms`);
  return Math.round(parts.reduce((sum, [, n, unit = '']) => sum + Number(n) * (nanoseconds[unit] ?? 0), 0));
}

/**
 * A time of `--since` and `--until` as the API takes it (seconds, with a fraction): a duration back from now (`42m`),
 * seconds since 1970, or a date, local where it names no zone. @throws GantryError invalid
 */
export function parseTime(text: string, now = Date.now()): string {
  if (/^\d+(?:\.\d+)?$/.test(text)) return text;
  if (/^\d/.test(text) && /[hms]$/.test(text)) return ((now * 1e6 - parseDuration(text)) / 1e9).toFixed(9);
  // A date alone is local here, unlike what Date takes it for.
  const date = new Date(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00` : text);
  if (Number.isNaN(date.getTime()))
    throw new GantryError('invalid', `"${text}" is not a time; expected e.g. 42m, 2026-01-02T13:23:37Z or 1767360217`);
  return (date.getTime() / 1000).toFixed(3);
}

const two = (n: number) => String(n).padStart(2, '0');

/** `2026-11-24 22:06:39 +0000 UTC`, in the local zone, as Go prints a time. */
export function goTime(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  const offset = -date.getTimezoneOffset();
  const zone = new Intl.DateTimeFormat('en', { timeZoneName: 'short' })
    .formatToParts(date)
    .find(({ type }) => type === 'timeZoneName')?.value;
  return `${localDate(date)} ${localClock(date)} ${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${two(
    Math.abs(offset) % 60,
  )} ${zone}`;
}

/** RFC 3339 in the local zone with nanoseconds, e.g. `2026-11-24T22:06:39.123456789Z`. */
export function localRfc3339(unixSeconds: number, nanosecondsOfSecond: number): string {
  const date = new Date(unixSeconds * 1000);
  const offset = -date.getTimezoneOffset();
  const zone =
    offset === 0
      ? 'Z'
      : `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${localDate(date)}T${localClock(date)}.${String(nanosecondsOfSecond).padStart(9, '0')}${zone}`;
}

const localDate = (date: Date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
const localClock = (date: Date) => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
