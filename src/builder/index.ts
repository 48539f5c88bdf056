export * from './builder.ts';
export { createBuilder } from './create-builder.ts';
