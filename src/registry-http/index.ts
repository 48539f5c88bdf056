export type { HubDeps } from './deps.ts';
export { createHubServer, type HubTls } from './server.ts';
