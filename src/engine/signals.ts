import { constants } from 'node:os';
import { GantryError } from '#errors/index.ts';

/** A signal's number from `TERM`, `SIGTERM`, `15` or `RTMIN+3`. @throws GantryError invalid */
export function signalNumber(signal: string): number {
  const plain = signal.toUpperCase().replace(/^SIG/, '');
  const real = /^RTMIN(?:\+(\d+))?$/.exec(plain);
  const number = /^\d+$/.test(plain)
    ? Number(plain)
    : real !== null
      ? 34 + Number(real[1] ?? 0)
      : (constants.signals as Readonly<Record<string, number>>)[`SIG${plain}`];
  if (number === undefined || number < 1 || number > 64) throw new GantryError('invalid', `invalid signal: ${signal}`);
  return number;
}
