import { existsSync, readFileSync } from 'node:fs';
import { openCgroups } from '#linux/index.ts';
import { type LimitAbilities, parseCpuList } from './check-limits.ts';
import { allCapabilities } from './defaults.ts';
import type { SecurityModules } from './security.ts';
import type { LimitsOfEngine } from './ulimits.ts';

/** What this host and its kernel can do for a container; found once, then asked. */
export interface Machine {
  readonly limits: LimitAbilities;
  readonly ulimits: LimitsOfEngine;
  readonly modules: SecurityModules;
  /** Those that the engine has itself: it can give no others. */
  readonly capabilities: readonly string[];
}

let found: Machine | undefined;

/** The machine this engine runs on. */
export function thisMachine(): Machine {
  found ??= {
    limits: limitAbilities(),
    ulimits: ulimitsOfEngine(),
    modules: securityModules(),
    capabilities: ownCapabilities(),
  };
  return found;
}

const text = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');

/** By controller: v1 tells by the files of its root, v2 by those of our own cgroup, since its root has no limits. */
function limitAbilities(): LimitAbilities {
  const { hierarchies } = openCgroups();
  const directory = (controller: string): string | undefined => {
    const v1 = hierarchies.find(
      ({ version, controllers }) => version === 1 && controllers.split(',').includes(controller),
    );
    if (v1 !== undefined) return v1.mountpoint;
    const v2 = hierarchies.find(({ version }) => version === 2);
    const enabled = v2 !== undefined && text(`${v2.mountpoint}/cgroup.controllers`).split(/\s/).includes(controller);
    return enabled ? v2.mountpoint : undefined;
  };
  const isV2 = (controller: string) => existsSync(`${directory(controller)}/cgroup.controllers`);
  const has = (controller: string, ...files: readonly string[]) => {
    const at = directory(controller);
    return at !== undefined && (isV2(controller) || files.some((file) => existsSync(`${at}/${file}`)));
  };
  const memoryIsV2 = isV2('memory');
  const throttle = 'blkio.throttle.read_bps_device';
  const block = directory('io') === undefined ? 'blkio' : 'io';
  return {
    memory: directory('memory') !== undefined,
    swap: memoryIsV2 ? ownSwapFile() : has('memory', 'memory.memsw.limit_in_bytes'),
    swappiness: !memoryIsV2 && has('memory', 'memory.swappiness'),
    oomKillDisable: !memoryIsV2 && has('memory', 'memory.oom_control'),
    kernelMemoryTcp: !memoryIsV2 && has('memory', 'memory.kmem.tcp.limit_in_bytes'),
    pids: directory('pids') !== undefined,
    cpu: has('cpu', 'cpu.cfs_quota_us'),
    realtime: !isV2('cpu') && has('cpu', 'cpu.rt_runtime_us'),
    cpuset: directory('cpuset') !== undefined,
    blockIoWeight: has(block, 'blkio.bfq.weight', 'blkio.weight'),
    blockIoThrottle: has(block, throttle),
    processors: parseCpuList(text('/sys/devices/system/cpu/online').trim()) ?? [0],
    memoryNodes: parseCpuList(text('/sys/devices/system/node/online').trim()) ?? [0],
  };
}

/** v2 has memory.swap.max where the kernel counts swap, in every cgroup but the root. */
function ownSwapFile(): boolean {
  const own = /^0::(.*)$/m.exec(text('/proc/self/cgroup'))?.[1] ?? '/';
  const { hierarchies } = openCgroups();
  const root = hierarchies.find(({ version }) => version === 2)?.mountpoint ?? '';
  return own === '/' || existsSync(`${root}${own}/memory.swap.max`);
}

/** proc_pid_limits(5) by the name of `--ulimit`. */
const titles: Readonly<Record<string, string>> = {
  'Max cpu time': 'cpu',
  'Max file size': 'fsize',
  'Max data size': 'data',
  'Max stack size': 'stack',
  'Max core file size': 'core',
  'Max resident set': 'rss',
  'Max processes': 'nproc',
  'Max open files': 'nofile',
  'Max locked memory': 'memlock',
  'Max file locks': 'locks',
  'Max pending signals': 'sigpending',
  'Max msgqueue size': 'msgqueue',
  'Max nice priority': 'nice',
  'Max realtime priority': 'rtprio',
  'Max realtime timeout': 'rttime',
};

/** proc_pid_status(5): the permitted ones. */
function ownCapabilities(): readonly string[] {
  const [, hex = '0'] = /^CapPrm:\s*([0-9a-f]+)$/m.exec(text('/proc/self/status')) ?? [];
  const bits = BigInt(`0x${hex}`);
  return allCapabilities.filter((_, number) => ((bits >> BigInt(number)) & 1n) === 1n);
}

function ulimitsOfEngine(): LimitsOfEngine {
  const rows = text('/proc/self/limits')
    .split('\n')
    .flatMap((line): readonly (readonly [string, number])[] => {
      const [, title = '', hard = ''] = /^(Max .*?)\s{2,}\S+\s+(\S+)/.exec(line) ?? [];
      const name = titles[title];
      return name === undefined || hard === 'unlimited' ? [] : [[name, Number(hard)]];
    });
  return { mayRaise: ownCapabilities().includes('CAP_SYS_RESOURCE'), hard: new Map(rows) };
}

const securityModules = (): SecurityModules => ({
  apparmor: text('/sys/module/apparmor/parameters/enabled').trim() === 'Y',
  selinux: existsSync('/sys/fs/selinux/enforce'),
});
