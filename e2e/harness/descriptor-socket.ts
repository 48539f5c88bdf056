import { check, kernel } from '#linux/index.ts';

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const HEADER = 16;
const TEXT = 8192;

/** A unix socket that waits for a descriptor, by SCM_RIGHTS (unix(7)). */
export interface DescriptorSocket extends Disposable {
  /** What somebody sends, with the text that comes along. */
  receive(): Promise<{ readonly fd: number; readonly text: string }>;
}

export function listenForDescriptor(path: string): DescriptorSocket {
  const address = Buffer.alloc(110);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(path, 2);
  const listener = check(kernel.call('socket', AF_UNIX, SOCK_STREAM_CLOEXEC, 0), 'socket', path);
  check(kernel.call('bind', listener, address, 2 + path.length + 1), 'bind', path);
  check(kernel.call('listen', listener, 1), 'listen', path);
  return {
    async receive() {
      const peer = check(await kernel.callAsync('accept4', listener, null, null, 0o2000000), 'accept4', path);
      // One buffer, so that all of it lives as long as the call: struct msghdr, struct iovec, control data, text.
      const memory = Buffer.alloc(256 + TEXT);
      const at = kernel.addressOf(memory);
      memory.writeBigUInt64LE(at + 64n, 16); // msg_iov
      memory.writeBigUInt64LE(1n, 24);
      memory.writeBigUInt64LE(at + 128n, 32); // msg_control
      memory.writeBigUInt64LE(64n, 40);
      memory.writeBigUInt64LE(at + 256n, 64); // iov_base
      memory.writeBigUInt64LE(BigInt(TEXT), 72);
      const length = check(await kernel.callAsync('recvmsg', peer, memory, 0), 'recvmsg', path);
      kernel.call('close', peer);
      return { fd: memory.readInt32LE(128 + HEADER), text: memory.toString('utf8', 256, 256 + length) };
    },
    [Symbol.dispose]() {
      kernel.call('close', listener);
    },
  };
}
