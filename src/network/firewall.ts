import { GantryError } from '#errors/index.ts';
import {
  commit,
  countRules,
  forgetUdpFlows,
  kernel,
  type NetlinkMessage,
  type NetlinkSocket,
  openNetlink,
  SyscallError,
} from '#linux/index.ts';
import { addressBytes, parseAddress } from './addresses.ts';
import { createFirewallRules, hostChains, type Placement } from './firewall-rules.ts';
import type { FirewalledNetwork, FirewallNames } from './firewall-sets.ts';
import type { Endpoint } from './networks.ts';
import { type RulesetWatch, watchRuleset } from './ruleset-watch.ts';

/** The tables of an engine in the kernel, and whose networks and endpoints they hold. Every change is one transaction. */
export interface Firewall extends Disposable {
  /** Makes the tables right, in one step, with these networks and endpoints; from now on it puts back what others take away. */
  install(networks: readonly FirewalledNetwork[], endpoints: readonly Endpoint[]): void;
  /** The administrator's chains stay if there are rules in them. */
  uninstall(): void;
  addNetwork(network: FirewalledNetwork): void;
  removeNetwork(id: string): void;
  /** Publishes an endpoint's ports and lets it send. If somebody flushed the ruleset, all of it is put back. */
  add(endpoint: Endpoint): void;
  /** Idempotent. */
  remove(endpoint: Endpoint): void;
}

export function createFirewall(
  names: FirewallNames,
  onError: (error: unknown, about: string) => void = () => undefined,
): Firewall {
  const rules = createFirewallRules(names);
  const endpoints = new Map<string, Endpoint>();
  const networks = new Map<string, FirewalledNetwork>();
  let installed = false;
  let socket: NetlinkSocket | undefined;
  let watch: RulesetWatch | undefined;

  // One socket for all: closing it after a deletion waits for a grace period of the kernel.
  const open = (): NetlinkSocket => (socket ??= openNetlink(kernel, 'netfilter'));
  const transaction = (changes: readonly NetlinkMessage[], about: string) => commit(open(), changes, about);

  function placed(endpoint: Endpoint): Placement {
    const network = networks.get(endpoint.networkId);
    if (network === undefined) throw new GantryError('internal', `the firewall does not know ${endpoint.networkName}`);
    return { endpoint, network };
  }

  function installAll(): void {
    if (!installed) throw new GantryError('internal', 'the firewall is not installed');
    transaction(
      rules.install([...networks.values()], [...endpoints.values()].map(placed)),
      `making the tables of ${names.bridge}`,
    );
  }

  /** Carries out changes; where somebody took away what they build on, everything is made again. */
  function change(changes: readonly NetlinkMessage[], about: string): void {
    try {
      transaction(changes, about);
    } catch (error) {
      ifMissing(error);
      installAll();
    }
  }

  function takeAway(together: readonly NetlinkMessage[], oneByOne: readonly NetlinkMessage[], about: string): void {
    try {
      transaction(together, about);
    } catch (error) {
      // Somebody changed the tables: what is left there goes one by one.
      ifMissing(error);
      for (const one of oneByOne)
        try {
          transaction([one], about);
        } catch (missing) {
          ifMissing(missing);
        }
    }
  }

  function forgetFlows({ ports }: Endpoint): void {
    const udp = ports.filter(({ protocol }) => protocol === 'udp');
    if (udp.length === 0) return;
    forgetUdpFlows(
      open(),
      udp.map(({ hostAddress, hostPort }) => ({
        family: parseAddress(hostAddress)?.family ?? 4,
        address: hostAddress === '0.0.0.0' || hostAddress === '::' ? undefined : addressBytes(hostAddress),
        port: hostPort,
      })),
    );
  }

  return {
    install(ofNetworks, ofEndpoints) {
      networks.clear();
      endpoints.clear();
      for (const network of ofNetworks) networks.set(network.id, network);
      for (const endpoint of ofEndpoints) endpoints.set(endpoint.id, endpoint);
      installed = true;
      installAll();
      watch ??= watchRuleset({
        tables: [rules.table.name],
        isOwn: (port) => port === socket?.port,
        onChange() {
          try {
            installAll();
          } catch (error) {
            onError(error, 'putting the firewall rules back');
          }
        },
        onError,
      });
    },
    uninstall() {
      watch?.[Symbol.dispose]();
      watch = undefined;
      installed = false;
      const kept = hostChains.some((chain) => countRules(open(), rules.table, chain) > 0);
      try {
        transaction(rules.uninstall(kept), `removing the tables of ${names.bridge}`);
      } catch (error) {
        ifMissing(error); // somebody else did
      }
      networks.clear();
      endpoints.clear();
    },
    addNetwork(network) {
      networks.set(network.id, network);
      change(rules.addNetwork(network), `letting ${network.bridge} in`);
    },
    removeNetwork(id) {
      const network = networks.get(id);
      if (network === undefined) return;
      networks.delete(id);
      takeAway(rules.removeNetwork(network), rules.removeNetworkOneByOne(network), `forgetting ${network.bridge}`);
    },
    add(endpoint) {
      endpoints.set(endpoint.id, endpoint);
      change(rules.add(placed(endpoint)), `publishing the ports of ${endpoint.ownerName}`);
      forgetFlows(endpoint);
    },
    remove({ id }) {
      const endpoint = endpoints.get(id);
      if (endpoint === undefined) return;
      endpoints.delete(id);
      takeAway(
        rules.remove(placed(endpoint)),
        rules.removeOneByOne(placed(endpoint)),
        `unpublishing the ports of ${endpoint.ownerName}`,
      );
      forgetFlows(endpoint);
    },
    [Symbol.dispose]() {
      watch?.[Symbol.dispose]();
      watch = undefined;
      socket?.[Symbol.dispose]();
      socket = undefined;
    },
  };
}

/** @throws what is not ENOENT */
function ifMissing(error: unknown): void {
  if (!(error instanceof SyscallError) || error.code !== 'ENOENT') throw error;
}
