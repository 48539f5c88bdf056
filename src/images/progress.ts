import type { OnProgress } from './images.ts';

const interval = 100;

/** The first 12 hex digits of a digest, as Docker names layers in progress lines. */
export const shortId = (digest: string): string => digest.slice(digest.indexOf(':') + 1).slice(0, 12);

/** A reporter for one layer: words at once, byte counts at most ten times a second and the last one always. */
export function layerProgress(onProgress: OnProgress | undefined, digest: string) {
  const id = shortId(digest);
  let last = 0;
  return {
    say: (status: string): void => onProgress?.({ id, status }),
    count(status: string, current: number, total: number): void {
      const now = performance.now();
      if (current < total && now - last < interval) return;
      last = now;
      onProgress?.({ id, status, current, total });
    },
  };
}

export type LayerProgress = ReturnType<typeof layerProgress>;
