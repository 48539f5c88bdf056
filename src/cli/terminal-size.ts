import { onResize, type WindowSize, windowSize } from './terminal.ts';

/**
 * Tells a process's terminal the size of ours, now and whenever it changes; returns how to stop. With `redraw` it first
 * tells another one, so that a program which has drawn already draws again.
 */
export function followTerminalSize(
  resize: (size: { h: number; w: number }) => Promise<unknown>,
  { redraw = false } = {},
): () => void {
  // The process may have ended in between; its exit code tells.
  const tell = ({ rows, columns }: WindowSize) => resize({ h: rows, w: columns }).catch(() => {});
  const known = () => {
    const size = windowSize();
    return size !== undefined && size.rows > 0 && size.columns > 0 ? size : undefined;
  };
  const first = known();
  if (first !== undefined) {
    const changed = redraw ? tell({ rows: first.rows + 1, columns: first.columns + 1 }) : Promise.resolve();
    void changed.then(() => tell(first));
  }
  return onResize(() => {
    const size = known();
    if (size !== undefined) void tell(size);
  });
}
