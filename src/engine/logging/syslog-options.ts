import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { GantryError } from '#errors/index.ts';

export type SyslogAddress =
  | { readonly kind: 'unix' | 'unixgram'; readonly path: string }
  | { readonly kind: 'local' }
  | { readonly kind: 'udp' | 'tcp' | 'tcp+tls'; readonly host: string; readonly port: number };

export type SyslogFormat = 'rfc3164' | 'rfc5424' | 'rfc5424micro';

/** RFC 5424, table 1. */
const facilities: Readonly<Record<string, number>> = {
  ...{
    kern: 0,
    user: 1,
    mail: 2,
    daemon: 3,
    auth: 4,
    syslog: 5,
    lpr: 6,
    news: 7,
    uucp: 8,
    cron: 9,
    authpriv: 10,
    ftp: 11,
  },
  ...{ local0: 16, local1: 17, local2: 18, local3: 19, local4: 20, local5: 21, local6: 22, local7: 23 },
};

type Options = Readonly<Record<string, string>>;

/** @throws GantryError invalid, naming the option */
export function checkSyslogOptions(options: Options): void {
  syslogAddress(options['syslog-address']);
  syslogFacility(options['syslog-facility']);
  syslogFormat(options['syslog-format']);
  const skip = options['syslog-tls-skip-verify'];
  if (skip !== undefined && !/^(?:true|false|0|1)$/i.test(skip))
    throw new GantryError('invalid', `invalid log opt syslog-tls-skip-verify="${skip}"; expected true or false`);
}

/** `udp://host:514`, `tcp://`, `tcp+tls://`, `unix://path`, `unixgram://path`; nothing: the host's own. */
export function syslogAddress(text: string | undefined): SyslogAddress {
  if (text === undefined || text === '') return { kind: 'local' };
  const [, kind, rest = ''] = /^(udp|tcp|tcp\+tls|unix|unixgram):\/\/(.+)$/.exec(text) ?? [];
  switch (kind) {
    case 'unix':
    case 'unixgram':
      if (rest.startsWith('/')) return { kind, path: rest };
      break;
    case 'udp':
    case 'tcp':
    case 'tcp+tls': {
      const [, v6, name, port = '514'] = /^(?:\[([^\]]+)\]|([^:/]+))(?::(\d+))?\/?$/.exec(rest) ?? [];
      const host = v6 ?? name;
      if (host !== undefined && Number(port) > 0 && Number(port) < 65536) return { kind, host, port: Number(port) };
    }
  }
  throw new GantryError(
    'invalid',
    `invalid syslog-address "${text}"; expected udp://, tcp:// or tcp+tls:// with host:port, unix:// or unixgram:// with a path`,
  );
}

export function syslogFacility(text: string | undefined): number {
  if (text === undefined || text === '') return 3;
  const number = Object.hasOwn(facilities, text) ? facilities[text] : /^\d+$/.test(text) ? Number(text) : undefined;
  if (number === undefined || number > 23) throw new GantryError('invalid', `invalid syslog facility: "${text}"`);
  return number;
}

export function syslogFormat(text: string | undefined): SyslogFormat {
  if (text === undefined || text === '') return 'rfc3164';
  if (text === 'rfc3164' || text === 'rfc5424' || text === 'rfc5424micro') return text;
  throw new GantryError('invalid', `Invalid syslog format "${text}"; expected rfc3164, rfc5424 or rfc5424micro`);
}

/** Of `tcp+tls`. @throws what reading the files throws */
export function syslogTls(options: Options): ConnectionOptions {
  const file = (name: string, key: string) => {
    const path = options[name];
    return path === undefined ? {} : { [key]: readFileSync(path) };
  };
  return {
    ...file('syslog-tls-ca-cert', 'ca'),
    ...file('syslog-tls-cert', 'cert'),
    ...file('syslog-tls-key', 'key'),
    rejectUnauthorized: !/^(?:true|1)$/i.test(options['syslog-tls-skip-verify'] ?? ''),
  };
}
