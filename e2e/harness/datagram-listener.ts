import { check, kernel } from '#linux/index.ts';
import { until } from './program.ts';

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;
const EAGAIN = 11;

/** A unix socket that takes datagrams, as /dev/log and the journal do (unix(7)). */
export interface DatagramListener extends Disposable {
  /** The next one. */
  receive(): Promise<Buffer>;
}

export function listenForDatagrams(path: string): DatagramListener {
  const address = Buffer.alloc(110);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(path, 2);
  const fd = check(kernel.call('socket', AF_UNIX, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0), 'socket', path);
  check(kernel.call('bind', fd, address, 2 + Buffer.byteLength(path) + 1), 'bind', path);
  const buffer = Buffer.alloc(256 * 1024);
  return {
    receive: () =>
      until(() => {
        const length = kernel.call('read', fd, buffer, buffer.length);
        if (length === -EAGAIN) return undefined;
        check(length, 'read', path);
        return Buffer.from(buffer.subarray(0, length));
      }),
    [Symbol.dispose]() {
      kernel.call('close', fd);
    },
  };
}
