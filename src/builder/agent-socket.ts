import { chmod, chown } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** A socket that a step's ssh finds the client's agent behind; each connection to it is one to the agent. */
export async function agentSocket(
  path: string,
  agent: () => Duplex,
  owner: { readonly mode: number; readonly uid: number; readonly gid: number },
): Promise<AsyncDisposable> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    const far = agent();
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      far.destroy();
    });
    socket.on('error', () => socket.destroy());
    far.on('error', () => socket.destroy());
    far.once('close', () => socket.destroy());
    socket.pipe(far).pipe(socket);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  await chown(path, owner.uid, owner.gid);
  await chmod(path, owner.mode);
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
