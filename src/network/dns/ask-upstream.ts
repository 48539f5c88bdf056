import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, isIPv6 } from 'node:net';
import { answers, type Question } from './dns-message.ts';
import { readFrames, writeFrame } from './tcp-frames.ts';

const PORT = 53;
const PATIENCE_MS = 3000;

/**
 * Asks name servers in turn, each with an id and a source port of its own; the first whose answer fits is believed. Undefined
 * where none answers in time.
 */
export async function askUpstream(
  query: Buffer,
  question: Question,
  servers: readonly string[],
  transport: 'udp' | 'tcp',
  port = PORT,
): Promise<Buffer | undefined> {
  for (const server of servers) {
    const asked = Buffer.from(query);
    asked.writeUInt16BE(randomInt(0x10000), 0);
    const fits = (reply: Buffer) => answers(reply, asked, question);
    const ask = transport === 'udp' ? askOverUdp : askOverTcp;
    const reply = await ask(asked, server, port, fits).catch(() => undefined); // unreachable: the next one is asked
    if (reply === undefined) continue;
    const answer = Buffer.from(reply);
    answer.writeUInt16BE(question.id, 0);
    return answer;
  }
  return undefined;
}

type Ask = (
  query: Buffer,
  server: string,
  port: number,
  fits: (reply: Buffer) => boolean,
) => Promise<Buffer | undefined>;

const askOverUdp: Ask = async (query, server, port, fits) => {
  const socket = createSocket(isIPv6(server.replace(/%.*$/, '')) ? 'udp6' : 'udp4');
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>();
  const timer = setTimeout(resolve, PATIENCE_MS, undefined);
  try {
    socket.on('error', reject).on('message', (reply) => fits(reply) && resolve(reply));
    socket.connect(port, server, () => socket.send(query));
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
};

const askOverTcp: Ask = async (query, server, port, fits) => {
  const socket = connect({ host: server, port });
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  try {
    await once(socket, 'connect');
    writeFrame(socket, query);
    for await (const reply of readFrames(socket)) if (fits(reply)) return reply;
    return undefined;
  } finally {
    socket.destroy();
  }
};
