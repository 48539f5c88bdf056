import { existsSync, readdirSync, rmSync } from 'node:fs';
import { shimAnswers } from '#runtime/index.ts';
import type { Context } from './context.ts';

/** How often those that still run are looked at. */
const everyMs = 5000;

/**
 * Execs of a daemon that is gone have no client left; their processes go on as long as their containers let them. Removes
 * what has ended of them, now and as they end. `orphans` are their directories' names; found where they are not given.
 */
export async function sweepOrphanedExecs(context: Context, orphans = orphanedExecs(context)): Promise<void> {
  const living: string[] = [];
  for (const name of orphans) {
    const directory = context.taskDirectory(name);
    if (await shimAnswers(directory)) living.push(name);
    else rmSync(directory, { recursive: true, force: true });
  }
  if (living.length === 0) return;
  const again = () =>
    sweepOrphanedExecs(context, living).catch((error: unknown) =>
      context.options.onError(error, 'removing what ended commands left'),
    );
  setTimeout(() => void again(), everyMs).unref();
}

const orphanedExecs = (context: Context): readonly string[] =>
  (existsSync(context.taskDirectory('')) ? readdirSync(context.taskDirectory(''), { withFileTypes: true }) : [])
    .filter((entry) => entry.isDirectory() && entry.name.startsWith('exec-'))
    .map(({ name }) => name);
