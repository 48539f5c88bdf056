export * from './content-store.ts';
export { createContentStore, indexText } from './layout-content-store.ts';
