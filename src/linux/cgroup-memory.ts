import { GantryError } from '#errors/index.ts';
import { type ControllerDirectory, readControl, readControlIfThere, writeControl } from './cgroup-files.ts';
import type { CgroupResources } from './cgroups.ts';

type Memory = NonNullable<CgroupResources['memory']>;

const LIMIT = 'memory.limit_in_bytes';
const MEMORY_AND_SWAP = 'memory.memsw.limit_in_bytes';
/** v1 shows no limit as the largest multiple of the page size. */
const V1_UNLIMITED = 2 ** 62;

function checkMemory({ limit, swap }: Memory): void {
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

/** The kernel keeps limit ≤ memory+swap at every moment, so the one that moves away from the other goes first. */
function writeV1(directory: ControllerDirectory, { limit, swap, reservation }: Memory): void {
  const writeLimit = () => limit !== undefined && writeControl(directory, LIMIT, String(limit), 'memory.limit');
  const writeSwap = () => swap !== undefined && writeControl(directory, MEMORY_AND_SWAP, String(swap), 'memory.swap');
  const current = Number(readControlIfThere(directory, MEMORY_AND_SWAP) ?? 0);
  if (swap !== undefined && (swap < 0 || swap > current)) {
    writeSwap();
    writeLimit();
  } else {
    writeLimit();
    writeSwap();
  }
  if (reservation !== undefined)
    writeControl(directory, 'memory.soft_limit_in_bytes', String(reservation), 'memory.reservation');
}

const orMax = (value: number) => (value < 0 ? 'max' : String(value));

function writeV2(directory: ControllerDirectory, { limit, swap, reservation }: Memory): void {
  if (swap !== undefined) {
    const swapOnly = swap < 0 ? 'max' : String(swap - (limit ?? 0));
    writeControl(directory, 'memory.swap.max', swapOnly, 'memory.swap');
  }
  if (limit !== undefined) writeControl(directory, 'memory.max', orMax(limit), 'memory.limit');
  if (reservation !== undefined) writeControl(directory, 'memory.low', orMax(reservation), 'memory.reservation');
}

/**
 * Limit, reservation and swap, in bytes, -1 for none. `swap` is v1's memory and swap together (config-linux.md#memory);
 * v2 limits swap by itself, so it gets the difference.
 * @throws SyscallError, GantryError invalid | unsupported
 */
export function writeMemory(directory: ControllerDirectory, memory: Memory): void {
  checkMemory(memory);
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
