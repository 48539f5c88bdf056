import { GantryError } from '#errors/index.ts';
import { check, type Kernel, SyscallError } from './kernel.ts';

/** One netlink message (netlink(7)): its type, flags and the body behind the 16-byte header. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

export const netlinkFlags = {
  request: 1,
  ack: 4,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
} as const;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER = 16;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

const align = (length: number) => (length + 3) & ~3;

/** One attribute, padded to 4 bytes. */
export function attribute(type: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align(4 + payload.length));
  bytes.writeUInt16LE(4 + payload.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(payload, 4);
  return bytes;
}

export const nested = (type: number, ...attributes: readonly Uint8Array[]): Buffer =>
  attribute(type | NLA_F_NESTED, Buffer.concat(attributes));
export const textAttribute = (type: number, text: string): Buffer => attribute(type, Buffer.from(`${text}\0`));

export const u8Attribute = (type: number, value: number): Buffer => attribute(type, Uint8Array.of(value));

/** A 32-bit number in the machine's order (rtnetlink). */
export function u32Attribute(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return attribute(type, bytes);
}

/** A 32-bit number in network order (nfnetlink). */
export function be32Attribute(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return attribute(type, bytes);
}

/** The attributes of a message body, by type. A repeated type keeps its last value. */
export function readAttributes(bytes: Uint8Array): Map<number, Buffer> {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= view.length; ) {
    const length = view.readUInt16LE(at);
    if (length < 4 || at + length > view.length)
      throw new GantryError('corrupt', `netlink attribute of ${length} bytes at ${at} of ${view.length}`);
    found.set(view.readUInt16LE(at + 2) & NLA_TYPE_MASK, view.subarray(at + 4, at + length));
    at += align(length);
  }
  return found;
}

export function encodeMessage(message: NetlinkMessage, sequence: number): Buffer {
  const bytes = Buffer.alloc(align(HEADER + message.body.length));
  bytes.writeUInt32LE(HEADER + message.body.length, 0);
  bytes.writeUInt16LE(message.type, 4);
  bytes.writeUInt16LE(message.flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(message.body, HEADER);
  return bytes;
}

/** `port` is the socket that asked; of a notification, the one whose request changed something. */
export function decodeMessages(
  bytes: Buffer,
): readonly (NetlinkMessage & { readonly sequence: number; readonly port: number })[] {
  const messages = [];
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < HEADER || at + length > bytes.length)
      throw new GantryError('corrupt', `netlink message of ${length} bytes at ${at} of ${bytes.length}`);
    messages.push({
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      port: bytes.readUInt32LE(at + 12),
      body: bytes.subarray(at + HEADER, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** The answer of an NLMSG_ERROR body: errno (0 is an acknowledgement) and the kernel's own words, if it gave any. */
export function decodeError(message: NetlinkMessage): { readonly errno: number; readonly text: string | undefined } {
  const body = Buffer.from(message.body.buffer, message.body.byteOffset, message.body.length);
  if (body.length < 4) throw new GantryError('corrupt', `netlink error of ${body.length} bytes`);
  const errno = -body.readInt32LE(0);
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno, text: undefined };
  // The request is capped to its header (NETLINK_CAP_ACK), so the attributes follow it at once.
  const text = readAttributes(body.subarray(4 + HEADER)).get(NLMSGERR_ATTR_MSG);
  return { errno, text: text?.toString('utf8').replace(/\0.*$/s, '') };
}

export interface NetlinkSocket extends Disposable {
  /** The socket's own address, which notifications of its changes carry. */
  readonly port: number;
  /** Sends messages in one datagram and reads every answer. `about` names the work in errors. @throws SyscallError */
  request(messages: readonly NetlinkMessage[], about: string): readonly NetlinkMessage[];
  /** The same, with the kernel's work done on a pool thread. Only one request may be under way. */
  requestAsync(messages: readonly NetlinkMessage[], about: string): Promise<readonly NetlinkMessage[]>;
}

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const LARGEST_REQUEST = 8 * 1024 * 1024;
const MSG_DONTWAIT = 0x40;
const EINTR = 4;
const EAGAIN = 11;

/** Opens a netlink socket of `protocol`, in the network namespace `nsFd` if given. */
export function openNetlink(kernel: Kernel, protocol: 'route' | 'netfilter', nsFd?: number): NetlinkSocket {
  const number = protocol === 'route' ? 0 : 12;
  const fd = check(
    nsFd === undefined
      ? kernel.call('socket', AF_NETLINK, SOCK_RAW_CLOEXEC, number)
      : kernel.callInNamespace(nsFd, 'socket', AF_NETLINK, SOCK_RAW_CLOEXEC, number),
    'socket',
    `netlink ${protocol}`,
  );
  let sequence = 0;
  let open = true;
  const on = Buffer.from([1, 0, 0, 0]);
  // Old kernels lack them; only the wording of errors suffers.
  kernel.call('setsockopt', fd, SOL_NETLINK, NETLINK_CAP_ACK, on, on.length);
  kernel.call('setsockopt', fd, SOL_NETLINK, NETLINK_EXT_ACK, on, on.length);
  // A transaction is one datagram, and thousands of ports are more than the default allows.
  const room = Buffer.alloc(4);
  room.writeUInt32LE(LARGEST_REQUEST);
  kernel.call('setsockopt', fd, SOL_SOCKET, SO_SNDBUFFORCE, room, room.length);
  // Each of its messages may be answered before the first answer is read.
  kernel.call('setsockopt', fd, SOL_SOCKET, SO_RCVBUFFORCE, room, room.length);
  const buffer = Buffer.allocUnsafe(128 * 1024);

  const encode = (messages: readonly NetlinkMessage[]) =>
    Buffer.concat(messages.map((message) => encodeMessage(message, ++sequence)));

  /** The kernel queues answers before sendto(2) returns, and a dump's next part when one is read: nothing is waited for. */
  function answers(first: number, about: string): readonly NetlinkMessage[] {
    const found: NetlinkMessage[] = [];
    let failure: SyscallError | undefined;
    let acknowledged = false;
    for (;;) {
      const length = kernel.call('recvfrom', fd, buffer, buffer.length, MSG_DONTWAIT, null, null);
      if (length === -EINTR) continue;
      if (length === -EAGAIN) break;
      check(length, 'recvfrom', about);
      for (const message of decodeMessages(buffer.subarray(0, length))) {
        if (message.sequence < first) continue;
        if (message.type === NLMSG_ERROR) {
          const { errno, text } = decodeError(message);
          acknowledged = true;
          if (errno !== 0)
            failure ??= new SyscallError('netlink', errno, text === undefined ? about : `${about} (${text})`);
        } else if (message.type === NLMSG_DONE) acknowledged = true;
        else found.push({ type: message.type, flags: message.flags, body: Buffer.from(message.body) });
      }
    }
    if (failure !== undefined) throw failure;
    if (!acknowledged && found.length === 0)
      throw new GantryError('internal', `netlink ${about}: the kernel did not answer`);
    return found;
  }

  const name = Buffer.alloc(12);
  check(kernel.call('bind', fd, Buffer.from([AF_NETLINK, ...new Uint8Array(11)]), 12), 'bind', `netlink ${protocol}`);
  check(kernel.call('getsockname', fd, name, Buffer.from([12, 0, 0, 0])), 'getsockname', `netlink ${protocol}`);
  return {
    port: name.readUInt32LE(4),
    request(messages, about) {
      const first = sequence + 1;
      const bytes = encode(messages);
      check(kernel.call('sendto', fd, bytes, bytes.length, 0, null, 0), 'sendto', about);
      return answers(first, about);
    },
    async requestAsync(messages, about) {
      const first = sequence + 1;
      const bytes = encode(messages);
      check(await kernel.callAsync('sendto', fd, bytes, bytes.length, 0, null, 0), 'sendto', about);
      return answers(first, about);
    },
    [Symbol.dispose]() {
      if (open) kernel.call('close', fd);
      open = false;
    },
  };
}
