export * from './builder.ts';
export { type BuilderOptions, createBuilder } from './create-builder.ts';
