import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { GantryError } from '#errors/index.ts';
import type { OptionRules, Parsed } from './arguments.ts';

/** What a command is run with. */
export interface Context {
  /** Where containers' state is kept. */
  readonly root: string;
  /** `cgroupsPath` is systemd's `slice:prefix:name` (`--systemd-cgroup`). */
  readonly systemdCgroup: boolean;
  /** Cgroups that cannot be made are done without where nothing is limited (`--rootless`). */
  readonly rootless: boolean;
  /** criu's program (`--criu`). */
  readonly criu: string;
  /** The options before the command: with others behind them they are a command on the same containers. */
  readonly globals: readonly string[];
  readonly options: Parsed;
  /** The first word behind the options. */
  readonly id: string;
  /** Those after it. */
  readonly words: readonly string[];
}

export interface Command {
  readonly options: OptionRules;
  /** How many words may follow the options, the container's id included. */
  readonly words: readonly [least: number, most: number];
  readonly usage: string;
  readonly about: string;
  /** @returns the exit code */
  run(context: Context): Promise<number> | number;
}

/**
 * Writes to stdout at once. `process.stdout` is never touched: it would make the caller's end, which the container
 * inherits, non-blocking.
 */
export function print(text: string): void {
  for (let bytes = Buffer.from(text); bytes.length > 0; ) bytes = bytes.subarray(writeSync(1, bytes));
}

/** A signal's number from its number or name, with or without SIG. @throws GantryError invalid */
export function signalNumber(signal: string): number {
  if (/^\d+$/.test(signal) && Number(signal) >= 0 && Number(signal) <= 64) return Number(signal);
  const name = `SIG${signal.toUpperCase().replace(/^SIG/, '')}`;
  const number = Object.entries(constants.signals).find(([known]) => known === name)?.[1];
  if (number === undefined)
    throw new GantryError('invalid', `signal "${signal}" is not known; use a name like TERM or a number up to 64`);
  return number;
}

/** `--format` of what prints a table or JSON. @throws GantryError invalid */
export function formatOf(options: Parsed): 'table' | 'json' {
  const format = options.text('format') ?? 'table';
  if (format !== 'table' && format !== 'json')
    throw new GantryError('invalid', `--format ${format}: use table or json`);
  return format;
}
