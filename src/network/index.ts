export { createNetworks, type NetworksOptions } from './bridge-networks.ts';
export * from './networks.ts';
