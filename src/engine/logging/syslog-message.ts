import type { LogRecord } from '../engine.ts';
import type { SyslogFormat } from './syslog-options.ts';

const INFORMATIONAL = 6;
const ERROR = 3;

/** Who speaks. */
export interface SyslogSource {
  readonly facility: number;
  readonly format: SyslogFormat;
  readonly tag: string;
  readonly hostname: string;
  /** The daemon's, as Docker says it. */
  readonly pid: number;
  /** The host's own daemon knows its name: RFC 3164 leaves it out. */
  readonly local: boolean;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (number: number, fill = '0') => String(number).padStart(2, fill);

/** A line as a message, without the end of a line: RFC 3164, or RFC 5424 with whole or with microseconds. */
export function syslogMessage({ stream, time, text }: LogRecord, source: SyslogSource): Buffer {
  const { facility, format, tag, hostname, pid, local } = source;
  const priority = `<${facility * 8 + (stream === 'stderr' ? ERROR : INFORMATIONAL)}>`;
  const at = new Date(time);
  const line = text.at(-1) === 10 ? text.subarray(0, -1) : text;
  let head: string;
  if (format === 'rfc3164') {
    const day = `${months[at.getMonth()]} ${two(at.getDate(), ' ')}`;
    const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    head = `${priority}${day} ${clock}${local ? '' : ` ${hostname}`} ${tag}[${pid}]: `;
  } else {
    const [seconds = '', rest = '0'] = time.replace(/Z$/, '').split('.');
    const stamp = format === 'rfc5424' ? `${seconds}Z` : `${seconds}.${rest.padEnd(6, '0').slice(0, 6)}Z`;
    head = `${priority}1 ${stamp} ${hostname} ${tag} ${pid} ${tag} - `;
  }
  return Buffer.concat([Buffer.from(head), line]);
}
