import { SyscallError } from './kernel.ts';
import {
  attribute,
  be32Attribute,
  type NetlinkMessage,
  type NetlinkSocket,
  nested,
  netlinkFlags as nlm,
  textAttribute,
} from './netlink.ts';
import { type KeyType, keyLength, keyTypeNumber } from './nftables-keys.ts';

/**
 * nftables by its netlink messages (include/uapi/linux/netfilter/nf_tables.h). A batch is one atomic transaction: all
 * of it is in force, or none.
 */
export interface Table {
  readonly family: 'inet' | 'bridge' | 'ip';
  readonly name: string;
}

const families = { inet: 1, ip: 2, bridge: 7 } as const;
const SUBSYSTEM = 10 << 8;
const BATCH_BEGIN = 16;
const BATCH_END = 17;

/** nfgenmsg: family, version, resource id in network order. */
const header = (family: number, resource = 0) => Buffer.from([family, 0, resource >> 8, resource & 0xff]);
const change = (table: Table, command: number, flags: number, ...attributes: readonly Buffer[]): NetlinkMessage => ({
  type: SUBSYSTEM | command,
  flags: nlm.request | flags,
  body: Buffer.concat([header(families[table.family]), textAttribute(1, table.name), ...attributes]),
});

export interface BaseChain {
  readonly name: string;
  readonly type: 'nat' | 'filter';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  readonly priority: number;
}
const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

/** A set of keys, or with `data` a map from them; each is a concatenation of typed fields. */
export interface NftSet {
  readonly table: Table;
  readonly name: string;
  readonly key: readonly KeyType[];
  readonly data?: readonly KeyType[];
}

/** An element; `data` is a map's. Bytes are as `keyBytes` makes them. */
export interface Element {
  readonly key: Uint8Array;
  readonly data?: Uint8Array;
}

const NFT_SET_MAP = 8;
/** A note for nft(8) only: the keys are in the machine's order, as names of links are to it. */
const hostOrder = Uint8Array.of(0, 4, 1, 0, 0, 0);

/** An attribute's length has 16 bits, and a list of elements is one attribute. */
const ELEMENTS_IN_A_MESSAGE = 500;

function elements(set: NftSet, command: number, flags: number, of: readonly Element[]): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at < of.length; at += ELEMENTS_IN_A_MESSAGE) {
    const list = of
      .slice(at, at + ELEMENTS_IN_A_MESSAGE)
      .map(({ key, data }) =>
        nested(1, nested(1, attribute(1, key)), ...(data === undefined ? [] : [nested(2, attribute(1, data))])),
      );
    messages.push(change(set.table, command, flags, textAttribute(2, set.name), nested(3, ...list)));
  }
  return messages;
}

/** One expression of a rule; rules are made of what nftables-expressions.ts offers. */
export type Expression = Buffer;

/** The changes that a transaction may hold. */
export const nft = {
  addTable: (table: Table) => change(table, 0, nlm.create, be32Attribute(2, 0)),
  /** Goes with all it holds. @throws ENOENT, at commit */
  deleteTable: (table: Table) => change(table, 2, 0),
  /** A chain that only a jump leads into. One that is there stays as it is. */
  addPlainChain: (table: Table, name: string) => change(table, 3, nlm.create, textAttribute(3, name)),
  /** Only an empty one that no rule jumps to. @throws ENOENT, EBUSY, at commit */
  deleteChain: (table: Table, name: string) => change(table, 5, 0, textAttribute(3, name)),
  /** Takes every rule out of a chain. */
  flushChain: (table: Table, name: string) => change(table, 8, 0, textAttribute(2, name)),
  /** Takes every element out of a set. */
  flushSet: ({ table, name }: NftSet) => change(table, 14, 0, textAttribute(2, name)),
  /** Only one that no rule names. */
  deleteSet: ({ table, name }: NftSet) => change(table, 11, 0, textAttribute(2, name)),
  /** A chain that the kernel enters by itself; what no rule decides is accepted. One that is there stays. */
  addChain: (table: Table, chain: BaseChain) =>
    change(
      table,
      3,
      nlm.create,
      textAttribute(3, chain.name),
      nested(4, be32Attribute(1, hooks[chain.hook]), be32Attribute(2, chain.priority)),
      be32Attribute(5, 1),
      textAttribute(7, chain.type),
    ),
  addRule: (table: Table, chain: string, ...expressions: readonly Expression[]) =>
    change(table, 6, nlm.create | nlm.append, textAttribute(2, chain), nested(4, ...expressions)),
  /** `id` is unique in its transaction. */
  addSet: ({ table, name, key, data }: NftSet, id: number) =>
    change(
      table,
      9,
      nlm.create,
      textAttribute(2, name),
      be32Attribute(3, data === undefined ? 0 : NFT_SET_MAP),
      be32Attribute(4, keyTypeNumber(key)),
      be32Attribute(5, keyLength(key)),
      ...(data === undefined ? [] : [be32Attribute(6, keyTypeNumber(data)), be32Attribute(7, keyLength(data))]),
      be32Attribute(10, id),
      ...(key[0] === 'link' && key.length === 1 ? [attribute(13, hostOrder)] : []),
    ),
  addElements: (set: NftSet, of: readonly Element[]) => elements(set, 12, nlm.create, of),
  /** Only keys are looked at. @throws ENOENT, at commit, where one is not in the set */
  deleteElements: (set: NftSet, of: readonly Element[]) =>
    elements(
      set,
      14,
      0,
      of.map(({ key }) => ({ key })),
    ),
} as const;

/** How many rules a chain has; 0 where it or its table is not there. */
export function countRules(socket: NetlinkSocket, table: Table, chain: string): number {
  const asked = change(table, 7, nlm.dump, textAttribute(2, chain));
  try {
    return socket.request([asked], `counting the rules of ${chain}`).length;
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'ENOENT') return 0;
    throw error;
  }
}

/** Carries out changes as one transaction. @throws SyscallError of the first that was refused; then none is in force */
export function commit(socket: NetlinkSocket, changes: readonly NetlinkMessage[], about: string): void {
  const last = changes.at(-1);
  if (last === undefined) return;
  const frame = (type: number) => ({ type, flags: nlm.request, body: header(0, 10) });
  const body = [...changes.slice(0, -1), { ...last, flags: last.flags | nlm.ack }];
  socket.request([frame(BATCH_BEGIN), ...body, frame(BATCH_END)], about);
}
