import { check, kernel } from './kernel.ts';

const MSG_CMSG_CLOEXEC = 0x40000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const CONTROL_HEADER = 16;
// Places in the one buffer that lives as long as the call: struct msghdr, struct iovec, control data, bytes.
const VECTOR = 64;
const CONTROL = 128;
const BYTES = 256;

export interface ReceivedMessage {
  /** Empty where the other side has closed. */
  readonly bytes: Buffer;
  /** Close-on-exec; the caller's from now on. */
  readonly descriptors: readonly number[];
}

/** What comes next on a unix socket, with the descriptors that come along (unix(7), SCM_RIGHTS); at most 28. Blocks. @throws SyscallError */
export function receiveMessage(socket: number, maxBytes: number): ReceivedMessage {
  const memory = Buffer.alloc(BYTES + maxBytes);
  const at = kernel.addressOf(memory);
  memory.writeBigUInt64LE(at + BigInt(VECTOR), 16); // msg_iov
  memory.writeBigUInt64LE(1n, 24);
  memory.writeBigUInt64LE(at + BigInt(CONTROL), 32); // msg_control
  memory.writeBigUInt64LE(BigInt(BYTES - CONTROL), 40);
  memory.writeBigUInt64LE(at + BigInt(BYTES), VECTOR);
  memory.writeBigUInt64LE(BigInt(maxBytes), VECTOR + 8);
  const length = check(kernel.call('recvmsg', socket, memory, MSG_CMSG_CLOEXEC), 'recvmsg', `on ${socket}`);
  return { bytes: memory.subarray(BYTES, BYTES + length), descriptors: descriptorsOf(memory) };
}

function descriptorsOf(memory: Buffer): readonly number[] {
  const controlLength = Number(memory.readBigUInt64LE(40));
  if (controlLength < CONTROL_HEADER) return [];
  const length = Number(memory.readBigUInt64LE(CONTROL)) - CONTROL_HEADER;
  if (memory.readInt32LE(CONTROL + 8) !== SOL_SOCKET || memory.readInt32LE(CONTROL + 12) !== SCM_RIGHTS) return [];
  return Array.from({ length: length / 4 }, (_, i) => memory.readInt32LE(CONTROL + CONTROL_HEADER + 4 * i));
}
