export * from './http-registry-client.ts';
export * from './registry-client.ts';
export type { RegistrySettings } from './registry-hosts.ts';
export type { FoundRepository } from './search-repositories.ts';
