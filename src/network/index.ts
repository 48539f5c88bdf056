export * from './networks.ts';
