export type { PackedContext } from './build-context.ts';
export { createDetachWatch, type DetachWatch, parseDetachKeys, usualDetachKeys } from './detach-keys.ts';
export { type EngineAddress, type EngineTls, parseEngineHost } from './engine-address.ts';
export {
  clientApiVersion,
  createEngineClient,
  type EngineClient,
  type EngineClientOptions,
  type EngineRequest,
  type EngineResponse,
  type HijackedConnection,
  hostOf,
} from './engine-client.ts';
export { demultiplex, jsonLines, type OutputChunk, textLines } from './output-streams.ts';
export { type ProcessEnd, parseProcessEnd, resultOf } from './process-end.ts';
export type * from './wire-shapes.ts';

/** See build-context.ts, build-session.ts and key-agent.ts; loaded only by what builds. */
export const buildContext = async () => ({
  ...(await import('./build-context.ts')),
  ...(await import('./build-session.ts')),
  ...(await import('./key-agent.ts')),
});

/** See pack-local.ts and unpack-local.ts; loaded only by what copies. */
export const localArchives = async () => ({
  ...(await import('./pack-local.ts')),
  ...(await import('./unpack-local.ts')),
});
