export { allocatedBytes } from './allocated-bytes.ts';
export { mountPointOf } from './cgroup-hierarchies.ts';
export { openCgroups } from './cgroup-tree.ts';
export type { Cgroup, CgroupResources, CgroupStats, Cgroups } from './cgroups.ts';
export { forgetUdpFlows } from './conntrack.ts';
export { connectDatagram, type DatagramSocket } from './datagram-socket.ts';
export { attachDetached, copyMount, copyMountOf, mountDetached, mountErofs } from './detached-mount.ts';
export { fileOperation } from './file-operation.ts';
export * from './files.ts';
export { holdFile } from './hold-file.ts';
export {
  check,
  type Kernel,
  kernel,
  kindOfErrno,
  type SyscallArgument,
  SyscallError,
  type SyscallName,
} from './kernel.ts';
export { nativePath } from './native-path.ts';
export { decodeMessages, type NetlinkMessage, type NetlinkSocket, openNetlink } from './netlink.ts';
export { commit, countRules, type Element, type NftSet, nft, type Table } from './nftables.ts';
export { match, statement } from './nftables-expressions.ts';
export { fieldBytes, type KeyType, keyBytes, protocolNumbers } from './nftables-keys.ts';
export { type ReceivedMessage, receiveMessage } from './receive-message.ts';
export {
  type Link,
  linkNamed,
  listAddresses,
  listLinks,
  listRoutes,
  MAIN_TABLE,
  type Route,
  rtnetlink,
} from './rtnetlink.ts';
export { spreadBelow } from './spread-below.ts';
export { mountTmpfs, unmount } from './tmpfs.ts';
export * from './walk-tree.ts';
export * from './xattr.ts';
