export { type ContainersService, createContainers } from './containers.ts';
export type { ContainerSize } from './disk-usage.ts';
export * from './engine.ts';
export { createEvents } from './events.ts';
export { tellingImages } from './image-events.ts';
export { checkLogging, logDrivers } from './logging/log-options.ts';
export { moveStorage } from './move-storage.ts';
export { createStepRunner } from './step-runner.ts';
export { createStorage, type Storage } from './storage.ts';
