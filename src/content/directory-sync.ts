import { open } from 'node:fs/promises';

/**
 * Makes names in a directory durable (fsync(2)). Those who ask while one is underway share the next: a name that was made
 * after a sync began need not be a part of it.
 */
export function createDirectorySync(): (path: string) => Promise<void> {
  const underway = new Map<string, { readonly now: Promise<void>; next: Promise<void> | undefined }>();
  const sync = async (path: string): Promise<void> => {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  };
  const begin = (path: string): Promise<void> => {
    const now = sync(path).finally(() => {
      if (underway.get(path)?.now === now) underway.delete(path);
    });
    underway.set(path, { now, next: undefined });
    return now;
  };
  return (path) => {
    const entry = underway.get(path);
    if (entry === undefined) return begin(path);
    entry.next ??= entry.now.catch(() => undefined).then(() => begin(path));
    return entry.next;
  };
}
