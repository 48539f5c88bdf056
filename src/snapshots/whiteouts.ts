import { type FileName, type FileStatus, getXattrAt, setXattr } from '#linux/index.ts';
import type { TarHeader } from '#tar/index.ts';

/** Whiteouts in a layer tar (image-spec: layer.md#whiteouts) and in an overlay (kernel: overlayfs.rst). */
export const WHITEOUT_PREFIX = '.wh.';
export const OPAQUE_NAME = '.wh..wh..opq';
/** Left by AUFS in old images; means nothing outside it. */
export const isAufsMetadata = (name: string): boolean => name.startsWith('.wh..wh.') && name !== OPAQUE_NAME;

export const OPAQUE_XATTR = 'trusted.overlay.opaque';

/** An overlay's whiteout: a character device 0:0. */
export const isWhiteout = (status: Pick<FileStatus, 'rdevMajor' | 'rdevMinor'> & { readonly type: string }): boolean =>
  status.type === 'character-device' && status.rdevMajor === 0 && status.rdevMinor === 0;

export const isWhiteoutHeader = ({ type, major, minor }: Pick<TarHeader, 'type' | 'major' | 'minor'>): boolean =>
  isWhiteout({ type, rdevMajor: major, rdevMinor: minor });

/** Whether a directory of an upper layer hides all that lower ones have in its place. */
export const isOpaqueAt = (directoryFd: number, name: FileName): boolean =>
  getXattrAt(directoryFd, name, OPAQUE_XATTR)?.toString() === 'y';

export const makeOpaque = (directoryFd: number): void => setXattr(directoryFd, OPAQUE_XATTR, Buffer.from('y'));

/** The attributes that belong to a layer; others are the host's or the driver's business. */
export const isLayerXattr = (name: string): boolean =>
  /^(?:user\.[^\0]+|security\.capability|system\.posix_acl_(?:access|default))$/.test(name) &&
  !name.startsWith('user.overlay.');
