import { GantryError } from '#errors/index.ts';
import {
  commit,
  forgetUdpFlows,
  kernel,
  type NetlinkMessage,
  type NetlinkSocket,
  openNetlink,
  SyscallError,
} from '#linux/index.ts';
import { createFirewallRules, type FirewallNames } from './firewall-rules.ts';
import type { Endpoint } from './networks.ts';
import { addressBytes, type Subnet } from './subnets.ts';

/** The tables of a bridge in the kernel, and whose endpoints they hold. Every change is one transaction. */
export interface Firewall extends Disposable {
  /** Makes the tables anew, in one step, with these endpoints. */
  install(subnet: Subnet, endpoints: readonly Endpoint[]): void;
  uninstall(): void;
  /** Publishes an endpoint's ports and lets it send. If somebody flushed the ruleset, all of it is put back. */
  add(endpoint: Endpoint): void;
  /** Idempotent. */
  remove(endpoint: Endpoint): void;
}

export function createFirewall(names: FirewallNames): Firewall {
  const rules = createFirewallRules(names);
  const held = new Map<string, Endpoint>();
  let subnet: Subnet | undefined;
  let socket: NetlinkSocket | undefined;

  function transaction(changes: readonly NetlinkMessage[], about: string): void {
    // One socket for all: closing it after a deletion waits for a grace period of the kernel.
    socket ??= openNetlink(kernel, 'netfilter');
    commit(socket, changes, about);
  }

  function install(): void {
    if (subnet === undefined) throw new GantryError('internal', 'the firewall is not installed');
    transaction(rules.install(subnet, [...held.values()]), `making the tables of ${names.bridge}`);
  }

  function forgetFlows({ ports }: Endpoint): void {
    const udp = ports.filter(({ protocol }) => protocol === 'udp');
    if (udp.length === 0) return;
    socket ??= openNetlink(kernel, 'netfilter');
    forgetUdpFlows(
      socket,
      udp.map(({ hostAddress, hostPort }) => ({
        address: hostAddress === '0.0.0.0' ? undefined : addressBytes(hostAddress),
        port: hostPort,
      })),
    );
  }

  return {
    install(network, endpoints) {
      subnet = network;
      held.clear();
      for (const endpoint of endpoints) held.set(endpoint.owner, endpoint);
      install();
    },
    uninstall() {
      transaction(rules.uninstall(), `removing the tables of ${names.bridge}`);
      held.clear();
    },
    add(endpoint) {
      held.set(endpoint.owner, endpoint);
      try {
        transaction(rules.add(endpoint), `publishing the ports of ${endpoint.ownerName}`);
      } catch (error) {
        ifMissing(error);
        install();
      }
      forgetFlows(endpoint);
    },
    remove(endpoint) {
      if (!held.delete(endpoint.owner)) return;
      const about = `unpublishing the ports of ${endpoint.ownerName}`;
      try {
        transaction(rules.remove(endpoint), about);
      } catch (error) {
        // Somebody changed the tables: what is left there goes one by one.
        ifMissing(error);
        for (const change of rules.removeOneByOne(endpoint))
          try {
            transaction([change], about);
          } catch (missing) {
            ifMissing(missing);
          }
      }
      forgetFlows(endpoint);
    },
    [Symbol.dispose]() {
      socket?.[Symbol.dispose]();
      socket = undefined;
    },
  };
}

/** @throws what is not ENOENT */
function ifMissing(error: unknown): void {
  if (!(error instanceof SyscallError) || error.code !== 'ENOENT') throw error;
}
