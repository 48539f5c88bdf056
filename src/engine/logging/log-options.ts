import { GantryError } from '#errors/index.ts';
import type { Container, Logging } from '../engine.ts';
import { expandTag } from './log-tag.ts';
import { checkSyslogOptions } from './syslog-options.ts';

export const logDrivers = ['json-file', 'local', 'none', 'syslog', 'journald'] as const;
export type LogDriver = (typeof logDrivers)[number];

/** Of a container made before a driver was kept with it, too. */
export const loggingOf = ({ logging }: { readonly logging?: Logging }): Logging =>
  logging ?? { driver: 'json-file', options: {} };

/** What is asked for over what the engine was told: its options count where its driver does. @throws GantryError */
export function chooseLogging(asked: Logging | undefined, byDefault: Logging): Logging {
  const driver = asked?.driver || byDefault.driver;
  const options = driver === byDefault.driver ? { ...byDefault.options, ...asked?.options } : (asked?.options ?? {});
  checkLogging({ driver, options });
  return { driver, options };
}

const elsewhere = ['fluentd', 'gelf', 'awslogs', 'splunk', 'gcplogs', 'etwlogs'];

const ofFiles = ['max-size', 'max-file', 'compress'];
const ofCaches = ['cache-disabled', 'cache-max-size', 'cache-max-file', 'cache-compress'];
const ofDetails = ['labels', 'labels-regex', 'env', 'env-regex', 'tag'];
const ofAll = ['mode'];
const known: Readonly<Record<LogDriver, readonly string[]>> = {
  'json-file': [...ofFiles, ...ofDetails],
  local: ofFiles,
  none: [],
  syslog: [
    ...ofCaches,
    ...ofDetails,
    ...['syslog-address', 'syslog-facility', 'syslog-format', 'syslog-tls-ca-cert', 'syslog-tls-cert'],
    ...['syslog-tls-key', 'syslog-tls-skip-verify'],
  ],
  journald: [...ofCaches, ...ofDetails],
};

/** @throws GantryError invalid, in Docker's words; unsupported for drivers that need a service of others */
export function checkDriver(driver: string): LogDriver {
  const found = logDrivers.find((name) => name === driver);
  if (found !== undefined) return found;
  if (elsewhere.includes(driver))
    throw new GantryError('unsupported', `log driver "${driver}": not supported; known are ${logDrivers.join(', ')}`);
  throw new GantryError('invalid', `logger: no log driver named '${driver}' is registered`);
}

/** Refuses what a driver does not know or cannot read. @throws GantryError invalid | unsupported, naming the option */
export function checkLogging({ driver, options }: Logging): void {
  const name = checkDriver(driver);
  for (const [option, value] of Object.entries(options)) {
    if (option === 'max-buffer-size')
      throw new GantryError(
        'unsupported',
        'log opt "max-buffer-size": not supported; output waits in a file, see max-size',
      );
    if (!known[name].includes(option) && !ofAll.includes(option))
      throw new GantryError('invalid', `unknown log opt '${option}' for ${name} log driver`);
    if ((option === 'compress' || option === 'cache-compress') && truth(option, value))
      throw new GantryError('unsupported', `log opt "${option}": not supported; leave it out or say false`);
    if (option === 'cache-disabled') truth(option, value);
    if (option === 'mode' && value !== 'blocking' && value !== 'non-blocking')
      throw new GantryError(
        'invalid',
        `logger: logging mode ${JSON.stringify(value)} is not valid: must be "blocking" or "non-blocking"`,
      );
    if (option.endsWith('-regex')) regexOf(option, value);
    if (option === 'tag') expandTag(value, undefined);
  }
  fileLimits({ driver, options });
  if (name === 'syslog') checkSyslogOptions(options);
}

const units: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** How large a file may grow, and how many there are; 20 MB and 5 where nothing is said. @throws GantryError invalid */
export function fileLimits({ driver, options }: Logging): { readonly maxBytes: number; readonly maxFiles: number } {
  const prefix = driver === 'syslog' || driver === 'journald' ? 'cache-' : '';
  const read = (name: string, fallback: number, unlimited: number | undefined, pattern: RegExp): number => {
    const text = options[`${prefix}${name}`];
    if (text === undefined) return fallback;
    if (text === '-1' && unlimited !== undefined) return unlimited;
    const match = pattern.exec(text.toLowerCase());
    const value = Number(match?.[1]) * (units[match?.[2] ?? ''] ?? 1);
    if (match === null || value < 1)
      throw new GantryError(
        'invalid',
        `invalid log opt ${prefix}${name}="${text}"; expected e.g. ${prefix}${name}=${name === 'max-size' ? '10m' : '3'}`,
      );
    return value;
  };
  return {
    maxBytes: read('max-size', 20 * 1024 * 1024, 0, /^(\d+)([kmg]?)b?$/),
    maxFiles: read('max-file', 5, undefined, /^(\d+)$/),
  };
}

function truth(name: string, value: string): boolean {
  if (/^(?:1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw new GantryError('invalid', `invalid log opt ${name}="${value}"; expected true or false`);
}

function regexOf(option: string, value: string): RegExp {
  try {
    return new RegExp(value);
  } catch (cause) {
    throw new GantryError('invalid', `log opt ${option}="${value}" is no pattern`, { cause });
  }
}

/** Whether `logs` may read what a driver keeps: nothing of `none`, nor of one whose cache is switched off. */
export const isReadable = ({ driver, options }: Logging): boolean =>
  driver !== 'none' && !/^(?:1|t|true)$/i.test(options['cache-disabled'] ?? '');

/** The labels and variables that log options choose, by their names. */
export function logDetails({ resolved }: Pick<Container, 'resolved'>, { options }: Logging): Record<string, string> {
  const variables = Object.fromEntries(
    resolved.env.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] as const),
  );
  const chosen = (all: Readonly<Record<string, string>>, names = '', pattern: string | undefined) =>
    Object.entries(all).filter(
      ([name]) => names.split(',').includes(name) || (pattern !== undefined && new RegExp(pattern).test(name)),
    );
  return Object.fromEntries([
    ...chosen(resolved.labels, options.labels, options['labels-regex']),
    ...chosen(variables, options.env, options['env-regex']),
  ]);
}

/** What each line of json-file carries besides (`logs --details`). */
export function lineAttributes(container: Container, logging: Logging): Record<string, string> {
  if (logging.driver !== 'json-file') return {};
  const { tag } = logging.options;
  return {
    ...(tag === undefined || tag === '' ? {} : { tag: expandTag(tag, container) }),
    ...logDetails(container, logging),
  };
}
