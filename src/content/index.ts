export * from './content-store.ts';
export { createContentStore } from './layout-content-store.ts';
