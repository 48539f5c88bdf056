import {
  chmodFd,
  chownFd,
  type FileName,
  getXattrAt,
  listXattrsAt,
  setTimesFd,
  setXattr,
  statusAt,
} from '#linux/index.ts';
import { isLayerXattr } from './whiteouts.ts';

/** Gives an open directory owner, mode, attributes and time of another one, `name` below `directoryFd`. */
export function copyMetadata(directoryFd: number, name: FileName, toFd: number): void {
  const { uid, gid, mode, mtime } = statusAt(directoryFd, name);
  chownFd(toFd, uid, gid);
  chmodFd(toFd, mode);
  for (const key of listXattrsAt(directoryFd, name).filter(isLayerXattr)) {
    const value = getXattrAt(directoryFd, name, key);
    if (value !== undefined) setXattr(toFd, key, value);
  }
  setTimesFd(toFd, mtime);
}
