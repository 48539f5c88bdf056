import { readFile } from 'node:fs/promises';

/** A file of the host's /etc; a host need not have it. */
export async function readHostFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
