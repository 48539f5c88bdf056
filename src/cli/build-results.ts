import { createWriteStream, mkdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type EngineClient, localArchives } from '#client/index.ts';
import type { BuildOutput } from './build-options.ts';
import { Failure, openProblem } from './failure.ts';
import { writeError, writeOut } from './output.ts';

/** Writes the target's files: a directory, or a tar. */
export async function writeFiles(
  tar: Promise<AsyncIterable<Uint8Array>>,
  output: Extract<BuildOutput, { type: 'local' | 'tar' | 'oci' | 'docker' }>,
): Promise<void> {
  if (output.type !== 'local') return writeTo(output.dest, await tar);
  mkdirSync(output.dest, { recursive: true });
  const { unpackLocal } = await localArchives();
  await unpackLocal(await tar, output.dest, {
    place: (name) => name,
    keepOwners: process.getuid?.() === 0,
    onSkipped: (path, what) => writeError(`skipped ${path}: ${what} cannot be made here\n`),
  });
}

/** Writes images as archives, for the outputs that ask for one. */
export async function writeImages(
  engine: EngineClient,
  outputs: readonly BuildOutput[],
  imageId: string,
  tags: readonly string[],
): Promise<void> {
  for (const output of outputs)
    if (output.type === 'oci' || output.type === 'docker') {
      const names = tags.length === 0 ? [imageId] : tags;
      await writeTo(output.dest, (await engine.stream('GET', '/images/get', { query: { names } })).body);
    }
}

async function writeTo(dest: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  if (dest === '-') {
    for await (const chunk of bytes) writeOut(chunk);
    return;
  }
  await pipeline(Readable.from(bytes, { objectMode: false }), createWriteStream(dest)).catch((error: unknown) => {
    throw error instanceof Error && 'path' in error ? new Failure(openProblem(dest, error), 1) : error;
  });
}
