import type { ProgressEvent } from '#images/index.ts';

/**
 * A progress event as Docker's JSON line. Lines of a layer carry a progressDetail even where nothing is known, since by
 * it a client tells a layer's row from a line of its own.
 */
export const progressLine = ({ id, status, current, total }: ProgressEvent) => ({
  status,
  ...(id === undefined ? {} : { id }),
  ...(current !== undefined
    ? { progressDetail: { current, ...(total === undefined ? {} : { total }) } }
    : id !== undefined && /^[0-9a-f]{12}$/.test(id)
      ? { progressDetail: {} }
      : {}),
});
