import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import { formatAddress, parseAddress } from './addresses.ts';
import type { Addressing, Endpoint, Network, NetworkDriver } from './networks.ts';
import { formatRange, parseRange, type Range, type Subnet } from './subnets.ts';

/** A network as the database knows it. */
export interface NetworkRecord
  extends Pick<Network, 'id' | 'name' | 'driver' | 'created' | 'internal' | 'attachable' | 'labels' | 'options'> {
  /** The link's name, of a bridge that people made; the default bridge's is an option of the engine. */
  readonly bridge?: string;
  readonly ipv4?: Subnet;
  readonly ipv6?: Subnet;
}

/** Networks and endpoints as rows; what is read comes from memory. The database refuses an address or port twice. */
export interface NetworkStore {
  networks(): readonly NetworkRecord[];
  bridge(): NetworkRecord;
  putNetwork(network: NetworkRecord): void;
  dropNetwork(id: string): void;
  endpoints(): readonly Endpoint[];
  endpointsOf(owner: string): readonly Endpoint[];
  /** The address given out last, of a family. */
  lastAddress(networkId: string, family: 4 | 6): bigint;
  /** Endpoint, ports and the network's last addresses in one transaction. */
  add(endpoint: Endpoint): void;
  /** Writes an endpoint and its ports as they are now. */
  change(endpoint: Endpoint): void;
  /** Takes the first away and writes the others as they are now. */
  remove(endpoint: Endpoint, changed?: readonly Endpoint[]): void;
}

const schema = `
  CREATE TABLE IF NOT EXISTS net_networks (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, json TEXT NOT NULL, last_address TEXT, last_address6 TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS net_endpoints (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, network TEXT NOT NULL, address TEXT, address6 TEXT, json TEXT NOT NULL,
    UNIQUE (owner, network), UNIQUE (network, address), UNIQUE (network, address6)) STRICT;
  CREATE TABLE IF NOT EXISTS net_ports (
    protocol TEXT NOT NULL, host_address TEXT NOT NULL, host_port INTEGER NOT NULL, endpoint TEXT NOT NULL,
    PRIMARY KEY (protocol, host_address, host_port)) STRICT;
`;

/** The networks that every engine has. */
const builtIn = [
  ['bridge', 'bridge'],
  ['host', 'host'],
  ['none', 'null'],
] as const satisfies readonly (readonly [string, NetworkDriver])[];

export const isBuiltIn = ({ name }: Pick<Network, 'name'>): boolean => builtIn.some(([known]) => known === name);

/** Opens the tables of networks in `db`; the first time it makes the three networks, with ids that stay. */
export function createNetworkStore(db: DatabaseSync): NetworkStore {
  db.exec(schema);
  const insertNetwork = db.prepare('INSERT OR IGNORE INTO net_networks (id, name, json) VALUES (?, ?, ?)');
  const updateNetwork = db.prepare('UPDATE net_networks SET json = ? WHERE id = ?');
  const deleteNetwork = db.prepare('DELETE FROM net_networks WHERE id = ?');
  const updateLast = db.prepare(
    'UPDATE net_networks SET last_address = ?, last_address6 = coalesce(?, last_address6) WHERE id = ?',
  );
  const insertEndpoint = db.prepare(
    'INSERT INTO net_endpoints (id, owner, network, address, address6, json) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const updateEndpoint = db.prepare('UPDATE net_endpoints SET json = ? WHERE id = ?');
  const deleteEndpoint = db.prepare('DELETE FROM net_endpoints WHERE id = ?');
  const insertPort = db.prepare(
    'INSERT INTO net_ports (protocol, host_address, host_port, endpoint) VALUES (?, ?, ?, ?)',
  );
  const deletePorts = db.prepare('DELETE FROM net_ports WHERE endpoint = ?');
  for (const [name, driver] of builtIn) {
    const id = randomBytes(32).toString('hex');
    const created = new Date().toISOString();
    const record = { id, name, driver, created, internal: false, attachable: false, labels: {}, options: {} };
    insertNetwork.run(id, name, JSON.stringify(record));
  }

  const networks = new Map<string, NetworkRecord>();
  const last = new Map<string, bigint>();
  for (const row of db.prepare('SELECT * FROM net_networks ORDER BY rowid').all()) {
    networks.set(String(row.id), readRecord(String(row.json)));
    for (const [family, text] of [
      [4, row.last_address],
      [6, row.last_address6],
    ] as const)
      last.set(`${row.id}/${family}`, (text === null ? undefined : parseAddress(String(text))?.value) ?? 0n);
  }
  const endpoints = new Map<string, Endpoint>();
  for (const row of db.prepare('SELECT json FROM net_endpoints ORDER BY rowid').all()) {
    const endpoint = JSON.parse(String(row.json)) as Endpoint;
    endpoints.set(endpoint.id, endpoint);
  }

  const usual = Number(db.prepare('PRAGMA synchronous').get()?.synchronous);
  /** Not waited for on the disk: endpoints outlive the engine, but no container outlives the host. */
  const transaction = (work: () => void) => {
    db.exec('PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE');
    try {
      work();
      db.exec('COMMIT');
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK'); // a full disk rolls back by itself
      throw error;
    } finally {
      db.exec(`PRAGMA synchronous = ${usual}`);
    }
  };
  const writePorts = ({ id, ports }: Endpoint) => {
    for (const { protocol, hostAddress, hostPort } of ports) insertPort.run(protocol, hostAddress, hostPort, id);
  };

  const rewrite = (endpoint: Endpoint) => {
    deletePorts.run(endpoint.id);
    writePorts(endpoint);
    updateEndpoint.run(JSON.stringify(endpoint), endpoint.id);
  };

  return {
    networks: () => [...networks.values()],
    bridge() {
      const record = networks.values().find(({ name }) => name === 'bridge');
      if (record === undefined) throw new GantryError('internal', 'the network "bridge" is not in the database');
      return record;
    },
    putNetwork(record) {
      const json = JSON.stringify(recordText(record));
      if (networks.has(record.id)) updateNetwork.run(json, record.id);
      else insertNetwork.run(record.id, record.name, json);
      networks.set(record.id, record);
    },
    dropNetwork(id) {
      deleteNetwork.run(id);
      networks.delete(id);
    },
    endpoints: () => [...endpoints.values()],
    endpointsOf: (owner) =>
      endpoints
        .values()
        .filter((endpoint) => endpoint.owner === owner)
        .toArray(),
    lastAddress: (networkId, family) => last.get(`${networkId}/${family}`) ?? 0n,
    add(endpoint) {
      const { id, owner, networkId, address, address6 = null } = endpoint;
      const address4 = address === '' ? null : address;
      transaction(() => {
        insertEndpoint.run(id, owner, networkId, address4, address6, JSON.stringify(endpoint));
        writePorts(endpoint);
        updateLast.run(address4, address6, networkId);
      });
      endpoints.set(id, endpoint);
      for (const [family, text] of [
        [4, address4],
        [6, address6],
      ] as const) {
        const value = text === null ? undefined : parseAddress(text)?.value;
        if (value !== undefined) last.set(`${networkId}/${family}`, value);
      }
    },
    change(endpoint) {
      transaction(() => rewrite(endpoint));
      endpoints.set(endpoint.id, endpoint);
    },
    remove({ id }, changed = []) {
      transaction(() => {
        deletePorts.run(id);
        deleteEndpoint.run(id);
        for (const endpoint of changed) rewrite(endpoint);
      });
      endpoints.delete(id);
      for (const endpoint of changed) endpoints.set(endpoint.id, endpoint);
    },
  };
}

/** A subnet as people write it. */
export function addressingOf(subnet: Subnet): Addressing {
  const { family } = subnet;
  const text = (value: bigint) => formatAddress({ family, value });
  return {
    subnet: formatRange(subnet),
    gateway: text(subnet.gateway),
    ...(subnet.chosenFrom === undefined ? {} : { ipRange: formatRange(subnet.chosenFrom) }),
    ...(subnet.auxiliary === undefined
      ? {}
      : { auxiliary: Object.fromEntries([...subnet.auxiliary].map(([name, value]) => [name, text(value)])) }),
  };
}

/** What `addressingOf` writes, from the database. */
function subnetOf({ subnet, gateway = '', ipRange, auxiliary }: Addressing): Subnet {
  const range = parseRange(subnet, 'subnet');
  const value = (text: string) => parseAddress(text)?.value ?? 0n;
  return {
    ...range,
    gateway: value(gateway),
    ...(ipRange === undefined ? {} : { chosenFrom: parseRange(ipRange, 'ip range') }),
    ...(auxiliary === undefined
      ? {}
      : { auxiliary: new Map(Object.entries(auxiliary).map(([name, text]) => [name, value(text)])) }),
  };
}

type RecordText = Omit<NetworkRecord, 'ipv4' | 'ipv6'> & { readonly ipv4?: Addressing; readonly ipv6?: Addressing };

const recordText = ({ ipv4, ipv6, ...rest }: NetworkRecord): RecordText => ({
  ...rest,
  ...(ipv4 === undefined ? {} : { ipv4: addressingOf(ipv4) }),
  ...(ipv6 === undefined ? {} : { ipv6: addressingOf(ipv6) }),
});

function readRecord(json: string): NetworkRecord {
  const { ipv4, ipv6, ...rest } = JSON.parse(json) as RecordText;
  return {
    ...rest,
    ...(ipv4 === undefined ? {} : { ipv4: subnetOf(ipv4) }),
    ...(ipv6 === undefined ? {} : { ipv6: subnetOf(ipv6) }),
  };
}

/** The networks' own ranges. */
export const rangesOf = ({ ipv4, ipv6 }: NetworkRecord): readonly Range[] =>
  [ipv4, ipv6].filter((subnet) => subnet !== undefined);

/** A network as its face shows it. */
export function shown(
  record: NetworkRecord,
  link: { readonly bridge: string; readonly mtu?: number } | undefined,
): Network {
  const { ipv4, ipv6, bridge: _name, ...rest } = record;
  const addressing = [ipv4, ipv6].filter((subnet) => subnet !== undefined).map(addressingOf);
  const first = ipv4 === undefined ? undefined : addressing[0];
  return {
    ...rest,
    addressing,
    builtIn: isBuiltIn(record),
    resolvesNames: !isBuiltIn(record),
    ...(first === undefined ? {} : { subnet: first.subnet, gateway: first.gateway ?? '' }),
    ...link,
  };
}
