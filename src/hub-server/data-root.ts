import { mkdirSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { GantryError, messageOf } from '#errors/index.ts';
import { holdFile } from '#linux/index.ts';
import { openRegistryDatabase } from '#registry/index.ts';

/** Opens the database of a hub's data root, making both where they are missing. @throws GantryError unavailable */
export function openDataRoot(dataRoot: string): DatabaseSync {
  try {
    mkdirSync(dataRoot, { recursive: true, mode: 0o700 });
    return openRegistryDatabase(`${dataRoot}/hub.db`);
  } catch (error) {
    if (error instanceof GantryError) throw error;
    throw new GantryError('unavailable', `the data root ${dataRoot} cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Holds a data root for one serving hub; the kernel lets go of it when the process ends, however that is. */
export const holdDataRoot = (dataRoot: string): Disposable =>
  hold(`${dataRoot}/serving.lock`, `another hub serves ${dataRoot}; stop it, or give --data-root another directory`);

/** Holds the right to take bytes away, which a backup must not be disturbed by. @throws GantryError conflict */
export const holdCollecting = (dataRoot: string): Disposable =>
  hold(`${dataRoot}/collecting.lock`, `garbage of ${dataRoot} is collected, or a backup made; try again afterwards`);

function hold(file: string, otherwise: string): Disposable {
  const held = holdFile(file);
  if (held === undefined) throw new GantryError('conflict', otherwise);
  return held;
}
