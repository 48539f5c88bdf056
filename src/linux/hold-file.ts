import { closeSync, constants, openSync } from 'node:fs';
import { check, kernel } from './kernel.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;

/**
 * Locks a file (flock(2)), made if missing, until disposed of; undefined where somebody else has it. The kernel lets go of it
 * when the process ends, however that is. @throws SyscallError
 */
export function holdFile(path: string): Disposable | undefined {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  const result = kernel.call('flock', fd, LOCK_EX | LOCK_NB);
  if (result < 0) closeSync(fd);
  if (result === -EWOULDBLOCK) return undefined;
  check(result, 'flock', path);
  return { [Symbol.dispose]: () => closeSync(fd) };
}
