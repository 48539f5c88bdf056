import { check, kernel } from '#linux/index.ts';

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const HEADER = 16;

/** A unix socket that waits for a terminal's master, as conmon does (`--console-socket`). */
export interface TerminalReceiver extends Disposable {
  /** The descriptor that somebody sends, by SCM_RIGHTS (unix(7)). */
  receive(): Promise<number>;
}

export function listenForTerminal(path: string): TerminalReceiver {
  const address = Buffer.alloc(110);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(path, 2);
  const listener = check(kernel.call('socket', AF_UNIX, SOCK_STREAM_CLOEXEC, 0), 'socket', path);
  check(kernel.call('bind', listener, address, 2 + path.length + 1), 'bind', path);
  check(kernel.call('listen', listener, 1), 'listen', path);
  return {
    async receive() {
      const peer = check(await kernel.callAsync('accept4', listener, null, null, 0o2000000), 'accept4', path);
      // One buffer, so that all of it lives as long as the call: struct msghdr, struct iovec, a byte, control data.
      const memory = Buffer.alloc(256);
      const at = kernel.addressOf(memory);
      memory.writeBigUInt64LE(at + 64n, 16); // msg_iov
      memory.writeBigUInt64LE(1n, 24);
      memory.writeBigUInt64LE(at + 128n, 32); // msg_control
      memory.writeBigUInt64LE(64n, 40);
      memory.writeBigUInt64LE(at + 96n, 64); // iov_base
      memory.writeBigUInt64LE(32n, 72);
      check(await kernel.callAsync('recvmsg', peer, memory, 0), 'recvmsg', path);
      kernel.call('close', peer);
      return memory.readInt32LE(128 + HEADER);
    },
    [Symbol.dispose]() {
      kernel.call('close', listener);
    },
  };
}
