import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type Duplex, Readable, Writable } from 'node:stream';
import { GantryError } from '#errors/index.ts';

/** RFC 6455 section 1.3. */
const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const operations = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** The bytes of a WebSocket's messages, both ways; where one begins and another ends is not kept. */
export interface WebSocketStreams {
  readonly input: Readable;
  readonly output: Writable;
}

/**
 * Answers an opening handshake (RFC 6455 section 4.2) and takes the connection over.
 * @throws GantryError invalid where the request is no handshake of version 13
 */
export function acceptWebSocket(request: IncomingMessage, socket: Duplex): WebSocketStreams {
  const { 'sec-websocket-key': key, 'sec-websocket-version': version, upgrade = '' } = request.headers;
  if (upgrade.toLowerCase() !== 'websocket' || key === undefined || version !== '13')
    throw new GantryError('invalid', 'this needs a WebSocket: Upgrade: websocket, Sec-WebSocket-Version: 13 and a key');
  const accept = createHash('sha1')
    .update(key + acceptSuffix)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  return streamsOf(socket);
}

/** A frame to the client: unmasked, whole (section 5.2). */
function frame(operation: number, data: Uint8Array): Buffer {
  const { length } = data;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65536 ? 4 : 10);
  head[0] = 0x80 | operation;
  head[1] = length < 126 ? length : length < 65536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, data]);
}

/** A close frame's status and reason (section 7.4). */
function closing(status: number, reason: string): Buffer {
  const data = Buffer.alloc(2);
  data.writeUInt16BE(status);
  return frame(operations.close, Buffer.concat([data, Buffer.from(reason)]));
}

const mostOfControl = 125;

function streamsOf(socket: Duplex): WebSocketStreams {
  const input = new Readable({ read: () => void socket.resume() });
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => void socket.write(frame(operations.binary, chunk), done),
    final: (done) => void socket.end(closing(1000, ''), done),
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  const parser = createParser({
    data: (bytes) => {
      if (!input.push(bytes)) socket.pause();
    },
    ping: (bytes) => void socket.write(frame(operations.pong, bytes)),
    close: () => {
      input.push(null);
      socket.end(closing(1000, ''));
    },
  });
  socket.on('data', (bytes: Buffer) => {
    try {
      parser(bytes);
    } catch (error) {
      socket.end(closing(1002, (error as Error).message));
      input.push(null);
    }
  });
  // Half-close is not WebSocket's: who goes without a close frame is gone.
  socket.once('end', () => output.destroy());
  socket.once('close', () => {
    input.push(null);
    output.destroy();
  });
  return { input, output };
}

interface Sink {
  readonly data: (bytes: Buffer) => void;
  readonly ping: (bytes: Buffer) => void;
  readonly close: () => void;
}

/** Takes a client's frames apart (section 5.2) as their bytes come: data is handed on at once, however long a frame is. */
function createParser(sink: Sink): (bytes: Buffer) => void {
  let head: Buffer = Buffer.alloc(0);
  let open: { operation: number; left: bigint; mask: Buffer; at: number; control: Buffer[] } | undefined;
  let closed = false;
  return (bytes) => {
    let rest = bytes;
    while (!closed && (rest.length > 0 || open?.left === 0n)) {
      if (open === undefined) {
        head = Buffer.concat([head, rest]);
        const begun = frameHead(head);
        if (begun === undefined) return;
        open = { operation: begun.operation, left: begun.length, mask: begun.mask, at: 0, control: [] };
        rest = head.subarray(begun.bytes);
        head = Buffer.alloc(0);
      }
      const take = open.left < BigInt(rest.length) ? Number(open.left) : rest.length;
      const part = Buffer.from(rest.subarray(0, take));
      for (let i = 0; i < take; i++) part[i] = (part[i] ?? 0) ^ (open.mask[(open.at + i) % 4] ?? 0);
      open.at = (open.at + take) % 4;
      open.left -= BigInt(take);
      rest = rest.subarray(take);
      const { operation, left, control } = open;
      if (operation >= operations.close) control.push(part);
      else if (part.length > 0) sink.data(part);
      if (left > 0n) return;
      open = undefined;
      if (operation === operations.ping) sink.ping(Buffer.concat(control));
      if (operation === operations.close) {
        closed = true;
        sink.close();
      }
    }
  };
}

/** The head of a frame; undefined where there is not all of it yet. @throws GantryError invalid */
function frameHead(bytes: Buffer): { operation: number; length: bigint; mask: Buffer; bytes: number } | undefined {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return undefined;
  const operation = first & 15;
  const short = second & 127;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const size = 2 + extended + 4;
  if ((first & 0x70) !== 0 || (second & 128) === 0)
    throw new GantryError('invalid', 'frames of a client are masked and have no extension');
  if (operation >= operations.close && short > mostOfControl)
    throw new GantryError('invalid', 'a control frame is too long');
  if (bytes.length < size) return undefined;
  const length =
    extended === 0 ? BigInt(short) : extended === 2 ? BigInt(bytes.readUInt16BE(2)) : bytes.readBigUInt64BE(2);
  return { operation, length, mask: Buffer.from(bytes.subarray(size - 4, size)), bytes: size };
}
