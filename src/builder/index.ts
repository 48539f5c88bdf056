export * from './builder.ts';
export { applyChanges } from './config-changes.ts';
export { type BuilderOptions, createBuilder } from './create-builder.ts';
export type { ContextOffer } from './kept-contexts.ts';
