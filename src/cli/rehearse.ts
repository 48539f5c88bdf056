import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

const id = '0'.repeat(64);
const times = 4;

const commands = [
  ['run', '--rm', 'rehearsal', 'true'],
  ['exec', 'rehearsal', 'true'],
];

const json = (status: string, value: unknown) => {
  const text = JSON.stringify(value);
  return `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`;
};

/** A process that wrote nothing and ended with 0. */
const end = '{"StatusCode":0}';
const whole = `HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n\x04\0\0\0\0\0\0${String.fromCharCode(end.length)}${end}`;

/** What an engine answers on the way of `run` and `exec`, by the end of the path. */
const answers: readonly (readonly [string, string])[] = [
  ['/gantry/containers/rehearsal/exec', whole],
  [`/gantry/containers/${id}/start`, whole],
  ['/create', json('201 Created', { Id: id, Warnings: [] })],
];

/**
 * Runs the commands that scripts call most against an engine that is made up here and does nothing: code that has run is
 * code that is compiled. Leaves nothing.
 */
export async function rehearse(main: (argv: readonly string[]) => Promise<number>): Promise<void> {
  const path = `\0gantry-rehearsal-${process.pid}`;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (data: Buffer) => answer(socket, data.toString('latin1')));
  });
  server.listen(path);
  await once(server, 'listening');
  process.env.GANTRY_HOST = `unix://${path}`;
  try {
    for (let time = 0; time < times; time++) for (const argv of commands) await main(argv);
  } finally {
    server.close();
    await once(server, 'close'); // with the last connection's, which would else be the command's to see to
  }
}

function answer(socket: Socket, request: string): void {
  const path = (request.split(' ', 2)[1] ?? '').replace(/\?.*/, '');
  socket.end(answers.find(([end]) => path.endsWith(end))?.[1] ?? json('404 Not Found', {}));
}
