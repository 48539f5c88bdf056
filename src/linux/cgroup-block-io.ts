import { GantryError } from '#errors/index.ts';
import { type ControllerDirectory, readControlIfThere, writeControl } from './cgroup-files.ts';
import type { CgroupResources } from './cgroups.ts';

type BlockIo = NonNullable<CgroupResources['blockIO']>;

/** [field, v1's file, v2's key in io.max] */
const throttles = [
  ['throttleReadBpsDevice', 'blkio.throttle.read_bps_device', 'rbps'],
  ['throttleWriteBpsDevice', 'blkio.throttle.write_bps_device', 'wbps'],
  ['throttleReadIOPSDevice', 'blkio.throttle.read_iops_device', 'riops'],
  ['throttleWriteIOPSDevice', 'blkio.throttle.write_iops_device', 'wiops'],
] as const;

function checkWeight(field: string, weight: number | undefined): void {
  if (weight !== undefined && weight !== 0 && (weight < 10 || weight > 1000))
    throw new GantryError('invalid', `blockIO.${field} ${weight} is out of range; use 10 to 1000`);
}

/** A weight of 10…1000 as v2's io.weight has it, 1…10000. */
export const weightToIoWeight = (weight: number): number => Math.trunc(1 + ((weight - 10) * 9999) / 990);

/** Weights are those of the BFQ scheduler where it has a file, since the other's is there only with its own scheduler. */
function weightFile(directory: ControllerDirectory): { readonly file: string; of(weight: number): number } {
  const [bfq, other] = directory.version === 1 ? ['blkio.bfq.weight', 'blkio.weight'] : ['io.bfq.weight', 'io.weight'];
  const plain = (weight: number) => weight;
  if (readControlIfThere(directory, bfq) !== undefined) return { file: bfq, of: plain };
  return { file: other, of: directory.version === 1 ? plain : weightToIoWeight };
}

function writeWeights(directory: ControllerDirectory, { weight, leafWeight, weightDevice = [] }: BlockIo): void {
  checkWeight('weight', weight);
  checkWeight('leafWeight', leafWeight);
  const { file, of } = weightFile(directory);
  const deviceFile = directory.version === 1 ? `${file}_device` : file;
  if (weight) writeControl(directory, file, String(of(weight)), 'blockIO.weight');
  if (leafWeight) writeControl(directory, 'blkio.leaf_weight', String(leafWeight), 'blockIO.leafWeight');
  for (const device of weightDevice) {
    const numbers = `${device.major}:${device.minor}`;
    checkWeight(`weightDevice ${numbers}`, device.weight);
    if (device.weight)
      writeControl(directory, deviceFile, `${numbers} ${of(device.weight)}`, `blockIO.weightDevice ${numbers}`);
    if (device.leafWeight)
      writeControl(
        directory,
        'blkio.leaf_weight_device',
        `${numbers} ${device.leafWeight}`,
        `blockIO.weightDevice ${numbers} leafWeight`,
      );
  }
}

/**
 * Weights (10…1000, 0 leaves them) and rates a second of block devices (config-linux.md#block-io); a rate of 0 is none.
 * @throws SyscallError, GantryError invalid | unsupported naming the field
 */
export function writeBlockIo(directory: ControllerDirectory, blockIO: BlockIo): void {
  writeWeights(directory, blockIO);
  for (const [field, file, key] of throttles)
    for (const { major, minor, rate } of blockIO[field] ?? []) {
      const numbers = `${major}:${minor}`;
      // BigInt(0) is what a v1 file takes for no limit, v2 has a word for it.
      const value = directory.version === 1 ? String(rate) : `${key}=${BigInt(rate) === 0n ? 'max' : rate}`;
      writeControl(directory, directory.version === 1 ? file : 'io.max', `${numbers} ${value}`, `blockIO.${field}`);
    }
}
