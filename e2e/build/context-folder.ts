import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import type { Engine } from '../harness/engine.ts';

/** Files by name, each executable so that a step can run it. */
export type Files = Readonly<Record<string, string>>;

let count = 0;

/** A new directory below the engine's root with these files; their texts are bytes in latin1. */
export function contextFolder({ root }: Pick<Engine, 'root'>, files: Files): string {
  const directory = `${root}/context-${count++}`;
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(`${directory}/${name}`.replace(/\/[^/]*$/, ''), { recursive: true });
    writeFileSync(`${directory}/${name}`, text, 'latin1');
    chmodSync(`${directory}/${name}`, 0o755);
  }
  return directory;
}
