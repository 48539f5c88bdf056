import { GantryError } from '#errors/index.ts';

/** What a volume's options make of it. */
export type VolumeSource =
  | { readonly kind: 'directory' }
  /** A directory of the host; `readOnly` is told to whoever mounts it. */
  | { readonly kind: 'bind'; readonly device: string }
  | {
      readonly kind: 'filesystem';
      readonly type: string;
      readonly device: string;
      /** MS_* (mount(2)). */
      readonly flags: number;
      readonly data: string;
    };

const flags: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  ro: [1, 0],
  rw: [0, 1],
  nosuid: [2, 0],
  suid: [0, 2],
  nodev: [4, 0],
  dev: [0, 4],
  noexec: [8, 0],
  exec: [0, 8],
  sync: [16, 0],
  async: [0, 16],
  dirsync: [128, 0],
  noatime: [1024, 0],
  atime: [0, 1024],
  nodiratime: [2048, 0],
  relatime: [1 << 21, 0],
  strictatime: [1 << 24, 0],
};

/** Reads `type=`, `device=` and `o=`. @throws GantryError invalid, naming the option */
export function volumeSource(options: Readonly<Record<string, string>>): VolumeSource {
  for (const name of Object.keys(options))
    if (name !== 'type' && name !== 'device' && name !== 'o')
      throw new GantryError('invalid', `invalid option: "${name}"; a local volume knows type, device and o`);
  const { type = '', device = '', o = '' } = options;
  const words = o.split(',').filter((word) => word !== '');
  if (type === '' && device === '' && words.length === 0) return { kind: 'directory' };
  if (device === '') throw new GantryError('invalid', 'missing required option: "device"');
  if (words.includes('bind') || words.includes('rbind')) {
    if (!device.startsWith('/'))
      throw new GantryError('invalid', `the device "${device}" of a bind must be an absolute path`);
    const odd = words.find((word) => !/^r?bind$|^rw$/.test(word));
    if (odd !== undefined)
      throw new GantryError(
        'invalid',
        `the option "${odd}" means nothing for a bind; mount the volume with it instead`,
      );
    return { kind: 'bind', device };
  }
  if (type === '' || type === 'none')
    throw new GantryError('invalid', `missing required option: "type", unless o=bind (device "${device}")`);
  if (!/^[a-z0-9][a-z0-9_.]*$/.test(type)) throw new GantryError('invalid', `"${type}" is no type of filesystem`);
  let set = 0;
  const data: string[] = [];
  for (const word of words) {
    const flag = flags[word];
    if (flag === undefined) data.push(word);
    else set = (set & ~flag[1]) | flag[0];
  }
  return { kind: 'filesystem', type, device, flags: set, data: data.join(',') };
}
