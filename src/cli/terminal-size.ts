import { onResize, windowSize } from './terminal.ts';

/** Tells a process's terminal the size of ours, now and whenever it changes; returns how to stop. */
export function followTerminalSize(resize: (size: { h: number; w: number }) => Promise<unknown>): () => void {
  const tell = () => {
    const size = windowSize();
    // The process may have ended in between; its exit code tells.
    if (size !== undefined && size.rows > 0 && size.columns > 0)
      resize({ h: size.rows, w: size.columns }).catch(() => {});
  };
  tell();
  return onResize(tell);
}
