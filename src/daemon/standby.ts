import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { nativePath } from '#linux/index.ts';

/** How long the end of commands that still run is waited for, in milliseconds. */
const patienceMs = 2_000;

/**
 * Keeps the command line loaded for who calls it often (native/standby.h), on `SOCKET.standby` beside the engine's socket; does
 * nothing where the command line is not compiled. It ends with this process, however that ends; with commands under way, with
 * the last of them.
 */
export function startStandby(socketPath: string, onError: (error: unknown, about: string) => void): AsyncDisposable {
  const program = fileURLToPath(new URL('../../build/bin/gantry', import.meta.url));
  const path = `${socketPath}.standby`;
  if (!existsSync(program)) return { [Symbol.asyncDispose]: async () => undefined };
  const child: ChildProcess = spawn(nativePath('gantry-standby'), [path, program], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    detached: true,
    env: {},
  });
  const gone = Promise.withResolvers<void>();
  child.once('exit', () => gone.resolve());
  child.once('error', (error) => {
    gone.resolve();
    onError(error, 'keeping the command line loaded');
  });
  const pipe = child.stdio[3];
  child.unref();
  if (pipe instanceof Socket) pipe.on('error', () => undefined).unref();
  return {
    async [Symbol.asyncDispose]() {
      if (pipe instanceof Socket) pipe.destroy();
      const timer = setTimeout(gone.resolve, patienceMs);
      await gone.promise;
      clearTimeout(timer);
      await rm(path, { force: true });
    },
  };
}
