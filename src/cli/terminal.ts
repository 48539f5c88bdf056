import { isatty } from 'node:tty';

export const isTerminal = (fd: 0 | 1 | 2): boolean => isatty(fd);

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** The terminal's size; undefined where stdout is none. */
export function windowSize(): WindowSize | undefined {
  return process.stdout.isTTY ? { rows: process.stdout.rows, columns: process.stdout.columns } : undefined;
}

/** Calls `changed` whenever the terminal is resized; returns how to stop. */
export function onResize(changed: () => void): () => void {
  if (!process.stdout.isTTY) return () => {};
  process.stdout.on('resize', changed);
  return () => process.stdout.off('resize', changed);
}

/** Signals that would end the program and leave the terminal raw. */
const ending = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

/**
 * Puts the terminal into raw mode until the returned function is called, or the program ends in whatever way it can see.
 * With `output` it also shows bytes as they come, for a program that is drawing on a terminal of its own.
 */
export function enterRawMode({ output }: { output: boolean }): () => void {
  const { stdin } = process;
  if (!stdin.isTTY || stdin.isRaw) return () => {};
  const restore = () => {
    stdin.setRawMode(false);
    process.off('exit', restore);
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
  const handlers = Object.entries(ending).map(
    ([signal, number]) => [signal, () => process.exit(128 + number)] as const,
  );
  process.on('exit', restore);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  stdin.setRawMode(true);
  // Node's raw mode still turns every line feed into two characters, which shifts whatever a full-screen program draws.
  // What setRawMode(false) puts back holds this too. Without stty that flaw is all there is.
  if (output)
    process
      .getBuiltinModule('node:child_process')
      .spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  return restore;
}
