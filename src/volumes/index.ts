export { createVolumes } from './sqlite-volumes.ts';
export * from './volumes.ts';
