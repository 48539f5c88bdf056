import { GantryError, messageOf } from '#errors/index.ts';
import { refusal } from './engine-client.ts';
import type { WaitResult } from './wire-shapes.ts';

/** How a process that was started over one connection ended, or why it could not be started. */
export type ProcessEnd = WaitResult | { readonly Refused: { readonly Status: number; readonly Message: string } };

/** What the last frame of a connection says that tells the end. @throws GantryError corrupt */
export function parseProcessEnd(payload: string): ProcessEnd {
  try {
    return JSON.parse(payload) as ProcessEnd;
  } catch (error) {
    throw new GantryError('corrupt', `the engine told an end that is not JSON: ${messageOf(error)}`);
  }
}

/**
 * The result of a process that was started.
 * @param refused words the error of a start that was refused
 * @throws what `refused` made of the refusal; GantryError unavailable where no end was told
 */
export function resultOf(end: ProcessEnd | undefined, refused = (error: GantryError): unknown => error): WaitResult {
  if (end === undefined)
    throw new GantryError('unavailable', 'the engine closed the connection before it told how the process ended');
  if ('Refused' in end) throw refused(refusal(end.Refused.Status, end.Refused.Message));
  return end;
}
