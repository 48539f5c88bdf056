import { check, decodeMessages, kernel } from '#linux/index.ts';

/** Tells when somebody else changes tables of ours, e.g. a firewall that is loaded again (`nft flush ruleset`). */
export interface RulesetWatch extends Disposable {
  /** Looks now, without waiting for its turn. */
  look(): void;
}

export interface WatchOptions {
  readonly tables: readonly string[];
  /** Whether the netlink socket of this address is ours: its changes are not told. */
  isOwn(port: number): boolean;
  onChange(): void;
  onError(error: unknown, about: string): void;
}

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_NETFILTER = 12;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NFNLGRP_NFTABLES = 7;
const SUBSYSTEM = 10 << 8;
/** A table, chain, rule, set or element that is gone. */
const deletions: ReadonlySet<number> = new Set([2, 5, 8, 11, 14].map((command) => SUBSYSTEM | command));
const MSG_DONTWAIT = 0x40;
const [EINTR, EAGAIN, ENOBUFS] = [4, 11, 105];
/** How long a flushed ruleset may stay unnoticed: libuv cannot wait for a netlink socket, and a look costs 2 µs. */
const LOOK_EVERY_MS = 250;

/** Listens to the kernel's notices of nftables changes. */
export function watchRuleset({ tables, isOwn, onChange, onError }: WatchOptions): RulesetWatch {
  const fd = check(
    kernel.call('socket', AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER),
    'socket',
    'nftables notices',
  );
  kernel.call('bind', fd, Buffer.from([AF_NETLINK, ...new Uint8Array(11)]), 12);
  const group = Buffer.from([NFNLGRP_NFTABLES, 0, 0, 0]);
  check(kernel.call('setsockopt', fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group, 4), 'setsockopt', 'nftables notices');
  const wanted = tables.map((name) => Buffer.from(`${name}\0`));
  const buffer = Buffer.allocUnsafe(64 * 1024);

  /** Reads what has come. Every notice of a table's names it in its first attribute. */
  function changed(): boolean {
    let found = false;
    for (;;) {
      const length = kernel.call('recvfrom', fd, buffer, buffer.length, MSG_DONTWAIT, null, null);
      if (length === -EINTR) continue;
      if (length === -EAGAIN) return found;
      if (length === -ENOBUFS) {
        found = true; // more changed than fits: ours may be among them
        continue;
      }
      check(length, 'recvfrom', 'nftables notices');
      found ||= decodeMessages(buffer.subarray(0, length)).some(
        ({ type, port, body }) =>
          deletions.has(type) &&
          !isOwn(port) &&
          wanted.some((name) => name.equals(Buffer.from(body.subarray(8, 8 + name.length)))),
      );
    }
  }

  const look = () => {
    try {
      if (changed()) onChange();
    } catch (error) {
      clearInterval(timer);
      onError(error, 'watching the firewall rules');
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  return {
    look,
    [Symbol.dispose]() {
      clearInterval(timer);
      kernel.call('close', fd);
    },
  };
}
