export type { Credentials } from '#distribution/index.ts';
export * from './images.ts';
