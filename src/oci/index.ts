export * from './digest.ts';
export { exactJson, parseExactJson } from './exact-json.ts';
export * from './image.ts';
export * from './media-types.ts';
export * from './reference.ts';
export * from './runtime-spec.ts';
