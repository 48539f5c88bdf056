import { GantryError } from '#errors/index.ts';
import { type ControllerDirectory, readControl, readControlIfThere, writeControl } from './cgroup-files.ts';
import type { CgroupResources, WholeNumber } from './cgroups.ts';

type Memory = NonNullable<CgroupResources['memory']>;

const LIMIT = 'memory.limit_in_bytes';
const MEMORY_AND_SWAP = 'memory.memsw.limit_in_bytes';
/** v1 shows no limit as the largest multiple of the page size. */
const V1_UNLIMITED = 2 ** 62;

function checkMemory({ limit, swap, swappiness }: Memory): void {
  if (swappiness !== undefined && swappiness > 100)
    throw new GantryError('invalid', `memory.swappiness ${swappiness} is beyond 100; use 0 to 100`);
  if (swap === undefined || swap < 0) return;
  if (limit === undefined || limit < 0)
    throw new GantryError(
      'invalid',
      `memory.swap ${swap}: it counts memory and swap together, so memory.limit is needed`,
    );
  if (swap < limit)
    throw new GantryError(
      'invalid',
      `memory.swap ${swap} is below memory.limit ${limit}; it counts memory and swap together`,
    );
}

/** The limit that `checkBeforeUpdate` guards: v1's kernel refuses by itself, v2's would kill. */
function checkUsage(directory: ControllerDirectory, limit: WholeNumber): void {
  const used = Number(readControlIfThere(directory, 'memory.current') ?? 0);
  if (limit >= 0 && limit < used)
    throw new GantryError('conflict', `memory.limit ${limit} is below the ${used} bytes in use; free memory first`);
}

/** The kernel keeps limit ≤ memory+swap at every moment, so the one that moves away from the other goes first. */
function writeV1(directory: ControllerDirectory, memory: Memory): void {
  const { limit, swap, reservation, kernelTCP, swappiness, disableOOMKiller } = memory;
  const write = (file: string, value: WholeNumber | undefined, field: string) =>
    value !== undefined && writeControl(directory, file, String(value), field);
  const writeLimit = () => write(LIMIT, limit, 'memory.limit');
  const writeSwap = () => write(MEMORY_AND_SWAP, swap, 'memory.swap');
  const current = Number(readControlIfThere(directory, MEMORY_AND_SWAP) ?? 0);
  if (swap !== undefined && (swap < 0 || swap > current)) {
    writeSwap();
    writeLimit();
  } else {
    writeLimit();
    writeSwap();
  }
  write('memory.soft_limit_in_bytes', reservation, 'memory.reservation');
  write('memory.kmem.tcp.limit_in_bytes', kernelTCP, 'memory.kernelTCP');
  write('memory.swappiness', swappiness, 'memory.swappiness');
  if (disableOOMKiller !== undefined)
    writeControl(directory, 'memory.oom_control', disableOOMKiller ? '1' : '0', 'memory.disableOOMKiller');
}

const orMax = (value: WholeNumber) => (value < 0 ? 'max' : String(value));

const notInV2 = (field: string, value: unknown): never => {
  throw new GantryError('unsupported', `memory.${field} ${value}: cgroup v2 has no such limit; leave it out`);
};

function writeV2(directory: ControllerDirectory, memory: Memory): void {
  const { limit, swap, reservation, kernelTCP, swappiness, disableOOMKiller, checkBeforeUpdate } = memory;
  if (kernelTCP !== undefined && kernelTCP >= 0) notInV2('kernelTCP', kernelTCP);
  if (swappiness !== undefined) notInV2('swappiness', swappiness);
  if (disableOOMKiller) notInV2('disableOOMKiller', disableOOMKiller);
  if (checkBeforeUpdate && limit !== undefined) checkUsage(directory, limit);
  if (swap !== undefined) {
    const swapOnly = swap < 0 ? 'max' : String(BigInt(swap) - BigInt(limit ?? 0));
    writeControl(directory, 'memory.swap.max', swapOnly, 'memory.swap');
  }
  if (limit !== undefined) writeControl(directory, 'memory.max', orMax(limit), 'memory.limit');
  if (reservation !== undefined) writeControl(directory, 'memory.low', orMax(reservation), 'memory.reservation');
}

/**
 * What of the memory controller a specification may ask: bytes, -1 for none. `swap` is v1's memory and swap together
 * (config-linux.md#memory); v2 limits swap by itself, so it gets the difference. `useHierarchy` may only be what every
 * kernel has by now; a limit of kernel memory alone is gone from every kernel since 5.16.
 * @throws SyscallError, GantryError invalid | unsupported | conflict (checkBeforeUpdate)
 */
export function writeMemory(directory: ControllerDirectory, memory: Memory): void {
  checkMemory(memory);
  if (memory.useHierarchy === false)
    throw new GantryError('unsupported', 'memory.useHierarchy false: every kernel counts below a cgroup too');
  if (memory.kernel !== undefined && memory.kernel >= 0)
    throw new GantryError(
      'unsupported',
      `memory.kernel ${memory.kernel}: the kernel no longer limits its own memory alone; use memory.limit`,
    );
  if (directory.version === 1) writeV1(directory, memory);
  else writeV2(directory, memory);
}

export interface MemoryCounters {
  readonly bytes: number;
  readonly limit: number | undefined;
}

export function readMemory(directory: ControllerDirectory): MemoryCounters {
  if (directory.version === 1) {
    const limit = Number(readControl(directory, LIMIT));
    return {
      bytes: Number(readControl(directory, 'memory.usage_in_bytes')),
      limit: limit >= V1_UNLIMITED ? undefined : limit,
    };
  }
  const limit = readControlIfThere(directory, 'memory.max') ?? 'max';
  return {
    bytes: Number(readControlIfThere(directory, 'memory.current') ?? 0),
    limit: limit === 'max' ? undefined : Number(limit),
  };
}
