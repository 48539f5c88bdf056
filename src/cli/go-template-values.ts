/** What Go calls true: everything but false, zero, nil and what is empty. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** A value as Go prints it with %v: `[a b]`, `map[k:v]`, `<no value>`. */
export function printValue(value: unknown): string {
  return value === undefined ? '<no value>' : inner(value);
}

function inner(value: unknown): string {
  if (value === undefined || value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(inner).join(' ')}]`;
  if (typeof value === 'object')
    return `map[${Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => `${k}:${inner(v)}`)
      .join(' ')}]`;
  if (typeof value === 'number' && Math.abs(value) >= 1e21) return value.toExponential().replace(/e\+(\d)$/, 'e+0$1');
  return String(value);
}

type Function = (...args: readonly unknown[]) => unknown;

const needText = (value: unknown): string => {
  if (typeof value !== 'string') throw new Error(`expected string; found ${inner(value)}`);
  return value;
};

function lengthOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length;
  if (value === null || value === undefined) return 0;
  throw new Error(`len of type ${typeof value}`);
}

function index(value: unknown, ...keys: readonly unknown[]): unknown {
  let found = value;
  for (const key of keys) {
    if (found === null || found === undefined) throw new Error('index of untyped nil');
    if (Array.isArray(found) || typeof found === 'string') {
      if (typeof key !== 'number') throw new Error(`cannot index slice/array with type ${typeof key}`);
      if (key < 0 || key >= found.length) throw new Error(`index out of range: ${key}`);
      found = typeof found === 'string' ? Buffer.from(found)[key] : found[key];
    } else if (typeof found === 'object')
      found = Object.hasOwn(found, String(key)) ? (found as Readonly<Record<string, unknown>>)[String(key)] : '';
    else throw new Error(`can't index item of type ${typeof found}`);
  }
  return found;
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw new Error('incompatible types for comparison');
}

function equal(a: unknown, b: unknown): boolean {
  if (a !== null && b !== null && a !== undefined && b !== undefined && typeof a !== typeof b)
    throw new Error('incompatible types for comparison');
  return (a ?? null) === (b ?? null);
}

/** printf with the verbs that templates use: %s %v %d %q %t %f %x %%, width, precision and `-`. */
function printf(format: unknown, ...args: readonly unknown[]): string {
  let at = 0;
  return needText(format).replace(
    /%(-?)(0?)(\d*)(?:\.(\d+))?([svdqtfxX%])/g,
    (_match, left: string, zero: string, width: string, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      if (at >= args.length) return `%!${verb}(MISSING)`;
      const value = args[at++];
      const shown =
        verb === 'q'
          ? JSON.stringify(inner(value))
          : verb === 'f'
            ? Number(value).toFixed(Number(precision ?? 6))
            : verb === 'x' || verb === 'X'
              ? typeof value === 'number'
                ? value.toString(16)
                : Buffer.from(String(value)).toString('hex')
              : precision === undefined
                ? inner(value)
                : inner(value).slice(0, Number(precision));
      const cased = verb === 'X' ? shown.toUpperCase() : shown;
      return left === '-' ? cased.padEnd(Number(width)) : cased.padStart(Number(width), zero === '0' ? '0' : ' ');
    },
  );
}

const print = (...args: readonly unknown[]) =>
  args.reduce<string>(
    (text, value, at) =>
      text + (at > 0 && typeof value !== 'string' && typeof args[at - 1] !== 'string' ? ' ' : '') + inner(value),
    '',
  );

const escaped = (text: string, escapes: Readonly<Record<string, string>>) =>
  [...text].map((character) => escapes[character] ?? character).join('');

/** As text/template escapes them. */
const htmlEscapes = { '"': '&#34;', "'": '&#39;', '&': '&amp;', '<': '&lt;', '>': '&gt;', '\0': '\uFFFD' };
const jsEscapes = {
  ...{ '\\': '\\\\', "'": "\\'", '"': '\\"', '<': '\\u003C', '>': '\\u003E', '&': '\\u0026', '=': '\\u003D' },
  ...{ '\n': '\\u000A', '\t': '\\u0009', '\r': '\\u000D' },
};
const percent = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;

const functions: Readonly<Record<string, Function>> = {
  json: (value) => JSON.stringify(value === undefined ? null : value),
  join: (values, separator) => (Array.isArray(values) ? values.map(inner).join(needText(separator)) : ''),
  split: (value, separator) => needText(value).split(needText(separator)),
  lower: (value) => needText(value).toLowerCase(),
  upper: (value) => needText(value).toUpperCase(),
  title: (value) =>
    needText(value).replace(/(^|\s)(\S)/g, (_m, space: string, letter: string) => space + letter.toUpperCase()),
  pad: (value, before, after) => {
    const text = needText(value);
    return text === '' ? '' : ' '.repeat(Number(before)) + text + ' '.repeat(Number(after));
  },
  truncate: (value, length) => [...needText(value)].slice(0, Number(length)).join(''),
  println: (...args) => `${args.map(inner).join(' ')}\n`,
  print,
  printf,
  len: lengthOf,
  index,
  slice: (value, from = 0, to) =>
    typeof value === 'string' || Array.isArray(value)
      ? value.slice(Number(from), to === undefined ? undefined : Number(to))
      : value,
  html: (...args) => escaped(print(...args), htmlEscapes),
  js: (...args) => escaped(print(...args), jsEscapes),
  urlquery: (...args) =>
    encodeURIComponent(print(...args))
      .replaceAll('%20', '+')
      .replaceAll(/[!'()*]/g, percent),
  not: (value) => !isTrue(value),
  and: (...values) => values.find((v) => !isTrue(v)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  eq: (first, ...others) => others.some((other) => equal(first, other)),
  ne: (a, b) => !equal(a, b),
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
};

/** A template function by its name; undefined where there is none. */
export const callFunction = (name: string): Function | undefined =>
  Object.hasOwn(functions, name) ? functions[name] : undefined;
