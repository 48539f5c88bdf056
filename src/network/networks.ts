/**
 * The engine's networks. Every address, port, link and rule has one owner in the database and goes with it.
 * Lifecycle of an endpoint: `reserve` (address and ports chosen, recorded; nothing in the kernel) → `connect(pid)`
 * (veth made, moved into the process's network namespace, addressed; ports become elements of the nftables maps)
 * → `release` (elements and record gone before it resolves; the veth is torn down behind it).
 */
export interface Networks extends AsyncDisposable {
  /** Makes bridge, table, sysctls; puts back what is missing and drops what no live owner has (after a crash). */
  open(liveOwners: ReadonlySet<string>): Promise<void>;
  list(): readonly Network[];
  /** By name, id or unique id prefix. @throws GantryError not-found */
  get(nameOrId: string): Network;
  /** @throws GantryError exhausted (addresses), conflict code `port-in-use` naming who holds it, not-found, invalid */
  reserve(request: ReserveEndpoint): Promise<Endpoint>;
  /** Configures the namespace of process `pid` from outside. Also brings `lo` up. */
  connect(endpoint: Endpoint, pid: number): Promise<void>;
  /** `none`: only `lo` up. */
  loopbackOnly(pid: number): Promise<void>;
  release(owner: string): Promise<void>;
  endpointOf(owner: string): Endpoint | undefined;
}

export interface Network {
  readonly id: string; // 64 hex
  readonly name: string;
  readonly driver: 'bridge' | 'host' | 'null';
  readonly created: string;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly bridge?: string;
  readonly mtu?: number;
}

export interface PortRequest {
  readonly protocol: 'tcp' | 'udp';
  readonly containerPort: number;
  /** Empty or 0.0.0.0: every address. */
  readonly hostAddress?: string;
  /** 0 or absent: an ephemeral one is chosen. */
  readonly hostPort?: number;
}

export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp';
  readonly containerPort: number;
  readonly hostAddress: string;
  readonly hostPort: number;
}

export interface ReserveEndpoint {
  readonly owner: string; // container id
  /** For messages: who holds a port. */
  readonly ownerName: string;
  readonly network: string;
  readonly ports: readonly PortRequest[];
}

export interface Endpoint {
  readonly owner: string;
  readonly ownerName: string;
  readonly networkId: string;
  readonly networkName: string;
  readonly id: string;
  readonly address: string; // 172.17.0.2
  readonly prefixLength: number;
  readonly gateway: string;
  readonly mac: string;
  readonly ports: readonly PublishedPort[];
}
