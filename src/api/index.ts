export type { ApiDeps, HostFacts } from './deps.ts';
export { createApiServer } from './server.ts';
