export * from './http-registry-client.ts';
export * from './registry-client.ts';
