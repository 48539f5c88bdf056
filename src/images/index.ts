export type { Credentials } from '#distribution/index.ts';
export * from './create-images.ts';
export * from './images.ts';
export { inflate } from './inflate.ts';
export { checkPlatform, hostPlatform, platformFit, platformText } from './platform.ts';
