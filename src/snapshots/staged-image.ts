import { closeSync, constants, openSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import { syncFd } from '#linux/index.ts';
import { type Unpacked, unpackTar } from './extract-tar.ts';
import { IMAGE_NAME } from './snapshot-store.ts';
import type { StagedLayer } from './staged-layer.ts';

/** A layer as one EROFS image, `layer.erofs`; durable when completed. `lowerTrees` are those of the layers below. */
export function createStagedImage(directory: string, lowerTrees: () => readonly string[]): StagedLayer {
  const fd = openSync(`${directory}/${IMAGE_NAME}`, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
  let unpacked: Unpacked | undefined;
  let open = true;
  const close = (): void => {
    if (open) closeSync(fd);
    open = false;
  };
  const take = async (tar: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<Unpacked> => {
    if (unpacked !== undefined) throw new GantryError('internal', 'an image is made of one tar');
    unpacked = await unpackTar(tar, { kind: 'image', fd }, signal);
    return unpacked;
  };
  return {
    unpack: async (tar, { signal }) => ({ size: (await take(tar, signal)).extracted.size }),
    async complete() {
      const whole = unpacked ?? (await take((async function* () {})(), undefined));
      await whole.complete(lowerTrees());
      await syncFd(fd);
      close();
      return { size: whole.extracted.size, image: true };
    },
    async abort() {
      await unpacked?.abort();
      close();
    },
  };
}
