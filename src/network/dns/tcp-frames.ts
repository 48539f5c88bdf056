import type { Socket } from 'node:net';

/** Messages over TCP: each with its length in two bytes before it (RFC 1035, 4.2.2). Ends where the stream ends or breaks. */
export async function* readFrames(socket: Socket): AsyncGenerator<Buffer, void, void> {
  let held = Buffer.alloc(0);
  for await (const chunk of socket) {
    held = Buffer.concat([held, chunk as Buffer]);
    while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const length = held.readUInt16BE(0);
      yield held.subarray(2, 2 + length);
      held = held.subarray(2 + length);
    }
  }
}

export function writeFrame(socket: Socket, message: Buffer): void {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  socket.write(Buffer.concat([length, message]));
}
