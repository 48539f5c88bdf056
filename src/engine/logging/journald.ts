import { setTimeout as wait } from 'node:timers/promises';
import { GantryError } from '#errors/index.ts';
import { connectDatagram, type DatagramSocket } from '#linux/index.ts';
import type { Container, Logging, LogRecord } from '../engine.ts';
import { logDetails } from './log-options.ts';
import type { LogSink } from './log-sink.ts';
import { expandTag } from './log-tag.ts';

const fullMs = 20;
const INFORMATIONAL = '6';
const ERROR = '3';

/** Sends lines to the journal of systemd. `eager`: it must be there now. @throws GantryError unavailable where this host has none */
export function createJournaldSink(
  container: Container,
  logging: Logging,
  { path, eager }: { readonly path: string; readonly eager: boolean },
): LogSink {
  const open = (): DatagramSocket => {
    try {
      return connectDatagram(path);
    } catch (cause) {
      throw new GantryError(
        'unavailable',
        `failed to initialize logging driver: journald is not enabled on this host (nothing listens at ${path})`,
        { cause },
      );
    }
  };
  const tag = expandTag(logging.options.tag || '{{.ID}}', container);
  const fixed = Object.entries({
    ...Object.fromEntries(
      Object.entries(logDetails(container, logging)).map(([name, value]) => [journalName(name), value] as const),
    ),
    CONTAINER_ID: container.id.slice(0, 12),
    CONTAINER_ID_FULL: container.id,
    CONTAINER_NAME: container.name,
    CONTAINER_TAG: tag,
    IMAGE_NAME: container.imageName,
    SYSLOG_IDENTIFIER: tag,
  });
  let socket: DatagramSocket | undefined = eager ? open() : undefined;
  return {
    async send(record, signal) {
      socket ??= open();
      try {
        const datagram = journalEntry(record, fixed);
        while (!socket.send(datagram)) await wait(fullMs, undefined, { signal });
      } catch (error) {
        socket[Symbol.dispose]();
        socket = undefined;
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      socket?.[Symbol.dispose]();
    },
  };
}

/** Upper case, digits and underscores, and no underscore first: that is the journal's own (systemd.journal-fields(7)). */
const journalName = (name: string) =>
  name
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '_')
    .replace(/^[_0-9]+/, '');

/** The journal's native protocol: `NAME=value`, or where the value has several lines the name, its length (u64) and itself. */
export function journalEntry(
  { stream, time, text }: LogRecord,
  fields: readonly (readonly [name: string, value: string])[],
): Buffer {
  const whole = text.at(-1) === 10;
  const parts: Buffer[] = [];
  const add = (name: string, value: Buffer) => {
    if (name === '') return;
    if (!value.includes(10)) {
      parts.push(Buffer.from(`${name}=`), value, Buffer.from('\n'));
      return;
    }
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(value.length));
    parts.push(Buffer.from(`${name}\n`), length, value, Buffer.from('\n'));
  };
  add('MESSAGE', whole ? text.subarray(0, -1) : text);
  add('PRIORITY', Buffer.from(stream === 'stderr' ? ERROR : INFORMATIONAL));
  add('SYSLOG_TIMESTAMP', Buffer.from(time));
  if (!whole) add('CONTAINER_PARTIAL_MESSAGE', Buffer.from('true'));
  for (const [name, value] of fields) add(name, Buffer.from(value));
  return Buffer.concat(parts);
}
