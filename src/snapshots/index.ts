export * from './graph-driver.ts';
