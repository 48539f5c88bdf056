import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import type { Endpoint, Network, PublishedPort } from './networks.ts';
import { formatAddress, formatRange, parseAddress, parseSubnet, type Subnet } from './subnets.ts';

/** A network as the database knows it; `subnet` and `lastAddress` (given out last) are the bridge's. */
export interface NetworkRecord extends Pick<Network, 'id' | 'name' | 'driver' | 'created'> {
  readonly subnet: Subnet | undefined;
  readonly lastAddress: number;
}

/** Networks and endpoints as rows; what is read comes from memory. The database refuses an address or port twice. */
export interface NetworkStore {
  networks(): readonly NetworkRecord[];
  bridge(): NetworkRecord;
  setSubnet(subnet: Subnet): void;
  endpoints(): readonly Endpoint[];
  endpointOf(owner: string): Endpoint | undefined;
  /** Endpoint, ports and the bridge's last address in one transaction. */
  add(endpoint: Endpoint): void;
  remove(owner: string): void;
}

const schema = `
  CREATE TABLE IF NOT EXISTS networks (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, driver TEXT NOT NULL, created TEXT NOT NULL,
    gateway TEXT, last_address TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS endpoints (
    owner TEXT PRIMARY KEY, owner_name TEXT NOT NULL, network TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL, prefix_length INTEGER NOT NULL, gateway TEXT NOT NULL, mac TEXT NOT NULL,
    UNIQUE (network, address)) STRICT;
  CREATE TABLE IF NOT EXISTS published_ports (
    protocol TEXT NOT NULL, host_address TEXT NOT NULL, host_port INTEGER NOT NULL, container_port INTEGER NOT NULL,
    owner TEXT NOT NULL, PRIMARY KEY (protocol, host_address, host_port)) STRICT;
`;

/** The networks that every engine has. */
const builtIn = [
  ['bridge', 'bridge'],
  ['host', 'host'],
  ['none', 'null'],
] as const satisfies readonly (readonly [string, Network['driver']])[];

/** Opens the tables of networks in `db`; the first time it makes the three networks, with ids that stay. */
export function createNetworkStore(db: DatabaseSync): NetworkStore {
  db.exec(schema);
  const insertNetwork = db.prepare('INSERT OR IGNORE INTO networks (id, name, driver, created) VALUES (?, ?, ?, ?)');
  for (const [name, driver] of builtIn)
    insertNetwork.run(randomBytes(32).toString('hex'), name, driver, new Date().toISOString());
  const updateSubnet = db.prepare("UPDATE networks SET gateway = ?, last_address = NULL WHERE name = 'bridge'");
  const updateLast = db.prepare('UPDATE networks SET last_address = ? WHERE id = ?');
  const insertEndpoint = db.prepare(
    'INSERT INTO endpoints (owner, owner_name, network, id, address, prefix_length, gateway, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const insertPort = db.prepare(
    'INSERT INTO published_ports (protocol, host_address, host_port, container_port, owner) VALUES (?, ?, ?, ?, ?)',
  );
  const deleteEndpoint = db.prepare('DELETE FROM endpoints WHERE owner = ?');
  const deletePorts = db.prepare('DELETE FROM published_ports WHERE owner = ?');

  const known = new Map(readNetworks(db).map((network) => [network.name, network]));
  const endpoints = new Map(readEndpoints(db, known).map((endpoint) => [endpoint.owner, endpoint]));
  const bridge = (): NetworkRecord => {
    const record = known.get('bridge');
    if (record === undefined) throw new GantryError('internal', 'the network "bridge" is not in the database');
    return record;
  };
  const usual = Number(db.prepare('PRAGMA synchronous').get()?.synchronous);
  /** Not waited for on the disk: endpoints outlive the engine, but no container outlives the host. */
  const transaction = (work: () => void) => {
    db.exec('PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE');
    try {
      work();
      db.exec('COMMIT');
    } catch (error) {
      db.exec('ROLLBACK');
      throw error;
    } finally {
      db.exec(`PRAGMA synchronous = ${usual}`);
    }
  };

  return {
    networks: () => [...known.values()],
    bridge,
    setSubnet(subnet) {
      updateSubnet.run(`${formatAddress(subnet.gateway)}/${subnet.prefixLength}`);
      known.set('bridge', { ...bridge(), subnet, lastAddress: subnet.gateway });
    },
    endpoints: () => [...endpoints.values()],
    endpointOf: (owner) => endpoints.get(owner),
    add(endpoint) {
      const { owner, ownerName, networkId, networkName, id, address, prefixLength, gateway, mac, ports } = endpoint;
      transaction(() => {
        insertEndpoint.run(owner, ownerName, networkId, id, address, prefixLength, gateway, mac);
        for (const { protocol, hostAddress, hostPort, containerPort } of ports)
          insertPort.run(protocol, hostAddress, hostPort, containerPort, owner);
        updateLast.run(address, networkId);
      });
      endpoints.set(owner, endpoint);
      const network = known.get(networkName);
      if (network !== undefined)
        known.set(networkName, { ...network, lastAddress: parseAddress(address) ?? network.lastAddress });
    },
    remove(owner) {
      transaction(() => {
        deletePorts.run(owner);
        deleteEndpoint.run(owner);
      });
      endpoints.delete(owner);
    },
  };
}

function readNetworks(db: DatabaseSync): readonly NetworkRecord[] {
  return db
    .prepare('SELECT * FROM networks ORDER BY rowid')
    .all()
    .map((row) => {
      const subnet = row.gateway === null ? undefined : parseSubnet(String(row.gateway));
      return {
        id: String(row.id),
        name: String(row.name),
        driver: String(row.driver) as Network['driver'],
        created: String(row.created),
        subnet,
        lastAddress: parseAddress(String(row.last_address)) ?? subnet?.gateway ?? 0,
      };
    });
}

function readEndpoints(db: DatabaseSync, networks: ReadonlyMap<string, NetworkRecord>): readonly Endpoint[] {
  const names = new Map([...networks.values()].map(({ id, name }) => [id, name]));
  const ports = Map.groupBy(db.prepare('SELECT * FROM published_ports ORDER BY rowid').all(), (row) =>
    String(row.owner),
  );
  return db
    .prepare('SELECT * FROM endpoints ORDER BY rowid')
    .all()
    .map((row) => ({
      owner: String(row.owner),
      ownerName: String(row.owner_name),
      networkId: String(row.network),
      networkName: names.get(String(row.network)) ?? '',
      id: String(row.id),
      address: String(row.address),
      prefixLength: Number(row.prefix_length),
      gateway: String(row.gateway),
      mac: String(row.mac),
      ports: (ports.get(String(row.owner)) ?? []).map((port) => ({
        protocol: String(port.protocol) as PublishedPort['protocol'],
        containerPort: Number(port.container_port),
        hostAddress: String(port.host_address),
        hostPort: Number(port.host_port),
      })),
    }));
}

/** A network as its face shows it. */
export const shown = (
  { id, name, driver, created, subnet }: NetworkRecord,
  more: { bridge: string; mtu?: number },
): Network => ({
  id,
  name,
  driver,
  created,
  ...(driver === 'bridge' ? more : {}),
  ...(subnet === undefined ? {} : { subnet: formatRange(subnet), gateway: formatAddress(subnet.gateway) }),
});
