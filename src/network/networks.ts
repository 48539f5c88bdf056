/**
 * The engine's networks. Every address, port, link and rule has one owner in the database and goes with it.
 * Lifecycle of an endpoint, one container's place in one network: `reserve` (address and ports chosen, recorded; nothing in the
 * kernel) → `connect(pid)` (link made, moved into the process's network namespace, addressed; ports become elements of the
 * nftables maps) → `disconnect`, or `release` of all of an owner's (elements and record gone before it resolves; the link is
 * torn down behind it).
 */
export interface Networks extends AsyncDisposable {
  /** Makes bridges, tables, sysctls; puts back what is missing and drops what no live owner has (after a crash). */
  open(liveOwners: ReadonlySet<string>): Promise<void>;
  list(): readonly Network[];
  /** By name, id or unique id prefix. @throws GantryError not-found */
  get(nameOrId: string): Network;
  /** @throws GantryError conflict (name taken, address range in use), invalid, unsupported, exhausted */
  create(request: CreateNetwork): Promise<Network>;
  /** @throws GantryError not-found, forbidden (built in), conflict code `network-in-use` naming by whom */
  remove(nameOrId: string): Promise<Network>;
  /** @throws GantryError exhausted (addresses), conflict code `port-in-use` naming who holds it, not-found, invalid */
  reserve(request: ReserveEndpoint): Promise<Endpoint>;
  /** Configures the namespace of process `pid` from outside. Also brings `lo` up. */
  connect(endpoint: Endpoint, pid: number): Promise<void>;
  /** Ends one endpoint of a running owner (`pid`). Its ports go on at another one, if there is one with a way out. */
  disconnect(owner: string, networkId: string, pid: number | undefined): Promise<void>;
  /**
   * Takes published ports away from an owner that runs, and gives it others, at the endpoint that publishes or the first with
   * a way out. All or nothing. @throws GantryError not-found (of `remove`, naming it), conflict code `port-in-use`, invalid
   */
  changePorts(owner: string, change: ChangePorts): Promise<void>;
  /** From now on an owner is found by its new name, and not by its old one. */
  rename(owner: string, name: string): void;
  /** `none`: only `lo` up. */
  loopbackOnly(pid: number): Promise<void>;
  /**
   * Answers the names of the owner's networks at 127.0.0.11 in the namespace of `pid`, until the owner is released. Other names
   * are asked of `servers`, or of the host's; of nobody where all its networks are internal.
   */
  serveNames(owner: string, pid: number, options: { readonly servers: readonly string[] }): Promise<void>;
  release(owner: string): Promise<void>;
  /** In the order they were reserved in. */
  endpointsOf(owner: string): readonly Endpoint[];
  /** The one with the default route, or the first. */
  endpointOf(owner: string): Endpoint | undefined;
  /** All endpoints of a network. */
  endpointsIn(networkId: string): readonly Endpoint[];
}

export type NetworkDriver = 'bridge' | 'host' | 'null' | 'macvlan' | 'ipvlan';

export interface Network {
  readonly id: string; // 64 hex
  readonly name: string;
  readonly driver: NetworkDriver;
  readonly created: string;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** One of each family at most, IPv4 first. */
  readonly addressing: readonly Addressing[];
  /** Of the IPv4 addressing. */
  readonly subnet?: string;
  readonly gateway?: string;
  /** Every engine has it; it cannot be removed. */
  readonly builtIn: boolean;
  /** Names of containers are answered in it: every network but the built-in ones. */
  readonly resolvesNames: boolean;
  readonly bridge?: string;
  readonly mtu?: number;
}

/** Where a network's addresses come from: `10.5.0.0/24`, `10.5.0.1`. */
export interface Addressing {
  readonly subnet: string;
  readonly gateway?: string;
  readonly ipRange?: string;
  readonly auxiliary?: Readonly<Record<string, string>>;
}

export interface CreateNetwork {
  readonly name: string;
  readonly driver?: string;
  readonly internal?: boolean;
  readonly attachable?: boolean;
  readonly ipv6?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  /** `com.docker.network.bridge.enable_icc`, `…enable_ip_masquerade`, `…name`, `…host_binding_ipv4`, `com.docker.network.driver.mtu`, `parent`, … */
  readonly options?: Readonly<Record<string, string>>;
  /** Absent parts are chosen. */
  readonly addressing?: readonly Partial<Addressing>[];
}

export type PortProtocol = 'tcp' | 'udp' | 'sctp';

export interface PortRequest {
  readonly protocol: PortProtocol;
  readonly containerPort: number;
  /** Empty or 0.0.0.0: every IPv4 address; `::` every IPv6 one. */
  readonly hostAddress?: string;
  /** 0 or absent: an ephemeral one is chosen. */
  readonly hostPort?: number;
  /** With `hostPort`: the first free one of this range. */
  readonly lastHostPort?: number;
}

export interface PublishedPort {
  readonly protocol: PortProtocol;
  readonly containerPort: number;
  readonly hostAddress: string;
  readonly hostPort: number;
}

export interface ChangePorts {
  readonly add: readonly PortRequest[];
  /** What is left out fits every one. */
  readonly remove: readonly PortPattern[];
}

/** Published ports by the container's port, or by the host's too. */
export type PortPattern = Pick<PublishedPort, 'protocol' | 'containerPort'> & Partial<PublishedPort>;

export interface ReserveEndpoint {
  readonly owner: string; // container id
  /** For messages: who holds a port. */
  readonly ownerName: string;
  readonly network: string;
  readonly ports: readonly PortRequest[];
  /** What it is called in this network, besides its name and short id. */
  readonly aliases?: readonly string[];
  /** `name:alias` of its own: what it calls others. */
  readonly links?: readonly string[];
  readonly address?: string;
  readonly address6?: string;
  readonly mac?: string;
}

export interface Endpoint {
  readonly owner: string;
  readonly ownerName: string;
  readonly networkId: string;
  readonly networkName: string;
  readonly id: string;
  /** Of the link inside the container. */
  readonly link: string;
  readonly address: string; // 172.17.0.2
  readonly prefixLength: number;
  /** Empty where there is no way out. */
  readonly gateway: string;
  readonly address6?: string;
  readonly prefixLength6?: number;
  readonly gateway6?: string;
  readonly mac: string;
  readonly ports: readonly PublishedPort[];
  /** Every name it is found by. */
  readonly names: readonly string[];
  readonly links: readonly string[];
}
