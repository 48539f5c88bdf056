import { check, kernel } from './kernel.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const EAGAIN = 11;
const longest = 107;

/** A connected unix datagram socket (unix(7)), which Node has none of. */
export interface DatagramSocket extends Disposable {
  /** False where the receiver's queue is full: try again later. @throws SyscallError, e.g. ECONNREFUSED when it has gone */
  send(datagram: Uint8Array): boolean;
}

/** @throws SyscallError ENOENT, ECONNREFUSED where nobody listens, EPROTOTYPE where it takes streams */
export function connectDatagram(path: string): DatagramSocket {
  const name = Buffer.from(path);
  if (name.length > longest) check(-36, 'connect', path); // ENAMETOOLONG
  const address = Buffer.alloc(110);
  address.writeUInt16LE(AF_UNIX, 0);
  address.set(name, 2);
  const fd = check(kernel.call('socket', AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK_CLOEXEC, 0), 'socket', path);
  try {
    check(kernel.call('connect', fd, address, 2 + name.length + 1), 'connect', path);
  } catch (error) {
    kernel.call('close', fd);
    throw error;
  }
  return {
    send(datagram) {
      const sent = kernel.call('sendto', fd, datagram, datagram.length, MSG_NOSIGNAL, null, 0);
      if (sent === -EAGAIN) return false;
      check(sent, 'sendto', path);
      return true;
    },
    [Symbol.dispose]() {
      kernel.call('close', fd);
    },
  };
}
