import { randomBytes } from 'node:crypto';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { EngineResponse } from '#client/index.ts';
import { Failure } from './failure.ts';
import { writeOut } from './output.ts';
import { isTerminal } from './terminal.ts';

/** Writes an answer's body to stdout, or to a file that appears under its name only once it is whole. */
export async function saveBody(ask: () => Promise<EngineResponse>, path: string, verb: string): Promise<number> {
  if (path === '') {
    if (isTerminal(1)) throw new Failure('cowardly refusing to save to a terminal. Use the -o flag or redirect', 1);
    for await (const chunk of (await ask()).body) writeOut(chunk);
    return 0;
  }
  const target = await placeOf(path, verb);
  const temporary = `${dirname(target)}/.gantry-${verb}-${randomBytes(6).toString('hex')}`;
  const file = await open(temporary, 'wx').catch((error: NodeJS.ErrnoException) => {
    throw new Failure(
      `failed to ${verb} to "${path}": ${error.code === 'ENOENT' ? 'its folder does not exist' : error.message}`,
      1,
    );
  });
  try {
    for await (const chunk of (await ask()).body) await file.writeFile(chunk);
    await file.close();
    await rename(temporary, target);
    return 0;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}

/** What the path names, through links: a file, or nothing yet. A device or a pipe would be replaced by a file. */
async function placeOf(path: string, verb: string): Promise<string> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (found === undefined) return path;
  if (found.isFile()) return await realpath(path);
  const kind = found.isDirectory()
    ? 'a directory'
    : found.isCharacterDevice()
      ? 'a character device file'
      : found.isBlockDevice()
        ? 'a device'
        : 'an irregular file';
  throw new Failure(`failed to ${verb} to "${path}": cannot write to ${kind}; leave -o out and redirect the output`, 1);
}
