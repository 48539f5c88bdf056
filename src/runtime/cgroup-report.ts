import { readFileSync } from 'node:fs';
import type { Cgroups } from '#linux/index.ts';

type Counter = number | bigint;

/** A cgroup's counters, read at once, in the shape of `runc events`. Times in nanoseconds, sizes in bytes. */
export interface CgroupReport {
  readonly cpu: CpuReport;
  readonly memory: MemoryReport;
  readonly pids: { readonly current: Counter; readonly limit?: Counter };
  readonly blkio: {
    readonly ioServiceBytesRecursive: readonly BlockCount[];
    readonly ioServicedRecursive: readonly BlockCount[];
  };
  readonly hugetlb: object;
  readonly intel_rdt: object;
  readonly network_interfaces: null;
}

interface CpuReport {
  readonly usage: {
    readonly total: Counter;
    readonly kernel: number;
    readonly user: number;
    /** By processor, where the kernel counts so (v1). */
    readonly percpu?: readonly number[];
    readonly percpu_kernel?: readonly number[];
    readonly percpu_user?: readonly number[];
  };
  readonly throttling: {
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledTime: number;
  };
}

interface MemoryCount {
  readonly usage: Counter;
  readonly max?: Counter;
  readonly limit: Counter;
  readonly failcnt: Counter;
}

interface MemoryReport {
  readonly cache: number;
  readonly usage: MemoryCount;
  readonly swap: MemoryCount;
  readonly kernel?: MemoryCount;
  readonly kernelTCP?: MemoryCount;
  /** The lines of memory.stat. */
  readonly raw: Readonly<Record<string, number>>;
}

/** The files of one controller of a cgroup; what the kernel does not have reads as nothing. */
interface ControllerFiles {
  readonly version: 1 | 2;
  text(file: string): string;
  number(file: string): Counter;
  /** A file of `key value` lines. */
  keyed(file: string): Readonly<Record<string, number>>;
}

const NANOSECONDS_A_TICK = 10_000_000; // of USER_HZ
const UNLIMITED = 2n ** 64n - 1n;

function controllerFiles(directory: string | undefined, version: 1 | 2): ControllerFiles {
  const text = (file: string): string => {
    try {
      return directory === undefined ? '' : readFileSync(`${directory}/${file}`, 'utf8').trim();
    } catch {
      return '';
    }
  };
  return {
    version,
    text,
    number: (file) => (text(file) === 'max' ? UNLIMITED : Number(text(file) || 0)),
    keyed: (file) =>
      Object.fromEntries(
        text(file)
          .split('\n')
          .filter(Boolean)
          .map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]),
      ),
  };
}

function cpuOf(cpu: ControllerFiles, accounting: ControllerFiles): CpuReport {
  if (cpu.version === 2) {
    const stat = cpu.keyed('cpu.stat');
    const nanoseconds = (key: string) => (stat[key] ?? 0) * 1000;
    return {
      usage: { total: nanoseconds('usage_usec'), kernel: nanoseconds('system_usec'), user: nanoseconds('user_usec') },
      throttling: {
        periods: stat.nr_periods ?? 0,
        throttledPeriods: stat.nr_throttled ?? 0,
        throttledTime: nanoseconds('throttled_usec'),
      },
    };
  }
  const split = accounting.keyed('cpuacct.stat');
  const stat = cpu.keyed('cpu.stat');
  const perProcessor = (file: string) => accounting.text(file).split(/\s+/).filter(Boolean).map(Number);
  return {
    usage: {
      total: accounting.number('cpuacct.usage'),
      percpu: perProcessor('cpuacct.usage_percpu'),
      percpu_kernel: perProcessor('cpuacct.usage_percpu_sys'),
      percpu_user: perProcessor('cpuacct.usage_percpu_user'),
      kernel: (split.system ?? 0) * NANOSECONDS_A_TICK,
      user: (split.user ?? 0) * NANOSECONDS_A_TICK,
    },
    throttling: {
      periods: stat.nr_periods ?? 0,
      throttledPeriods: stat.nr_throttled ?? 0,
      throttledTime: stat.throttled_time ?? 0,
    },
  };
}

function memoryOf(memory: ControllerFiles): MemoryReport {
  const raw = memory.keyed('memory.stat');
  if (memory.version === 2)
    return {
      cache: raw.file ?? 0,
      usage: {
        usage: memory.number('memory.current'),
        max: memory.number('memory.peak'),
        limit: memory.number('memory.max'),
        failcnt: memory.keyed('memory.events').max ?? 0,
      },
      swap: {
        usage: memory.number('memory.swap.current'),
        limit: memory.number('memory.swap.max'),
        failcnt: memory.keyed('memory.swap.events').max ?? 0,
      },
      raw,
    };
  const counted = (name: string) => ({
    usage: memory.number(`memory.${name}usage_in_bytes`),
    max: memory.number(`memory.${name}max_usage_in_bytes`),
    limit: memory.number(`memory.${name}limit_in_bytes`),
    failcnt: memory.number(`memory.${name}failcnt`),
  });
  return {
    cache: raw.cache ?? 0,
    usage: counted(''),
    swap: counted('memsw.'),
    kernel: counted('kmem.'),
    kernelTCP: counted('kmem.tcp.'),
    raw,
  };
}

export interface BlockCount {
  readonly major: number;
  readonly minor: number;
  readonly op: string;
  readonly value: number;
}

/** v1: `8:0 Read 4096`; a line `Total` at the end is of no device. */
const blockCounts = (text: string): readonly BlockCount[] =>
  [...text.matchAll(/^(\d+):(\d+) (\w+) (\d+)$/gm)].map(([, major, minor, op = '', value]) => ({
    major: Number(major),
    minor: Number(minor),
    op,
    value: Number(value),
  }));

/** v2: `8:0 rbytes=4096 wbytes=0 rios=1 …` */
function ioCounts(text: string, names: Readonly<Record<string, string>>): readonly BlockCount[] {
  return [...text.matchAll(/^(\d+):(\d+) (.*)$/gm)].flatMap(([, major, minor, rest = '']) =>
    rest.split(' ').flatMap((entry) => {
      const [key = '', value] = entry.split('=');
      const op = names[key];
      return op === undefined ? [] : [{ major: Number(major), minor: Number(minor), op, value: Number(value) }];
    }),
  );
}

function blockIoOf(block: ControllerFiles): CgroupReport['blkio'] {
  if (block.version === 1)
    return {
      ioServiceBytesRecursive: blockCounts(block.text('blkio.throttle.io_service_bytes_recursive')),
      ioServicedRecursive: blockCounts(block.text('blkio.throttle.io_serviced_recursive')),
    };
  const stat = block.text('io.stat');
  return {
    ioServiceBytesRecursive: ioCounts(stat, { rbytes: 'Read', wbytes: 'Write', dbytes: 'Discard' }),
    ioServicedRecursive: ioCounts(stat, { rios: 'Read', wios: 'Write', dios: 'Discard' }),
  };
}

/** @param directories of the container's cgroup, one for each hierarchy */
export function readCgroupReport(cgroups: Cgroups, directories: readonly string[]): CgroupReport {
  const of = (controller: string): ControllerFiles => {
    const v1 = cgroups.hierarchies.find(({ controllers }) => controllers.split(',').includes(controller));
    const hierarchy = v1 ?? cgroups.hierarchies.find(({ version }) => version === 2);
    const directory = directories.find((path) => path.startsWith(`${hierarchy?.mountpoint}/`));
    return controllerFiles(directory, hierarchy?.version ?? 1);
  };
  const pids = of('pids');
  const limit = pids.number('pids.max');
  return {
    cpu: cpuOf(of('cpu'), of('cpuacct')),
    memory: memoryOf(of('memory')),
    pids: { current: pids.number('pids.current'), ...(limit === UNLIMITED ? {} : { limit }) },
    blkio: blockIoOf(of('blkio')),
    hugetlb: {},
    intel_rdt: {},
    network_interfaces: null,
  };
}
