export * from './digest.ts';
export * from './image.ts';
export * from './media-types.ts';
export * from './reference.ts';
export * from './runtime-spec.ts';
