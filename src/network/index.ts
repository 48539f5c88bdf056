export { createNetworks, type NetworksOptions } from './create-networks.ts';
export * from './networks.ts';
