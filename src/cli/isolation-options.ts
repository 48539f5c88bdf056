import { readFileSync } from 'node:fs';
import { messageOf } from '#errors/index.ts';
import { Failure } from './failure.ts';
import { flag, integer, list, listOf, type ParsedOptions, text, value } from './options.ts';
import { pairs } from './pairs.ts';
import { parseBytes } from './units.ts';

/** `nofile=1024:2048`; one number stands for both. */
export const ulimitOf = (written: string) => {
  const match = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(written);
  if (match === null) throw new Error(`invalid ulimit argument: ${written}; expected NAME=SOFT[:HARD]`);
  const [, name = '', soft = '', hard = soft] = match;
  if (Number(hard) >= 0 && (Number(soft) > Number(hard) || Number(soft) < 0))
    throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return { Name: name, Soft: Number(soft), Hard: Number(hard) };
};

const deviceRule = (written: string): string => {
  if (!/^[acb] (?:\d+|\*):(?:\d+|\*) [rwm]{1,3}$/.test(written))
    throw new Error(`invalid device cgroup format '${written}'`);
  return written;
};

const namespacedSysctl =
  /^(?:net\.|fs\.mqueue\.|kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)=)/;

const sysctl = (written: string): string => {
  if (!written.includes('=') || !namespacedSysctl.test(written)) throw new Error(`sysctl '${written}' is not allowed`);
  return written;
};

/** `--gpus all`, a count, or `count=2,capabilities=compute,driver=x`. The engine says what it makes of it. */
const gpus = (written: string) => {
  const fields = pairs(written.split(',').map((part) => (part.includes('=') ? part : `count=${part}`)));
  const { count = '1', driver = '', device, capabilities, ...others } = fields;
  const [odd] = Object.keys(others);
  if (odd !== undefined) throw new Error(`unexpected key '${odd}' in '${written}'`);
  if (count !== 'all' && !/^\d+$/.test(count)) throw new Error(`count (${count}) must be 'all' or a number`);
  return {
    Driver: driver,
    Count: device !== undefined ? 0 : count === 'all' ? -1 : Number(count),
    DeviceIDs: device === undefined ? null : [device],
    Capabilities: [['gpu', ...(capabilities === undefined ? [] : [capabilities])]],
    Options: {},
  };
};

const swappiness = (written: string): number => {
  const number = Number(written);
  if (!/^-?\d+$/.test(written) || number < -1 || number > 100)
    throw new Error(`invalid value: ${written}. Valid memory swappiness range is 0-100`);
  return number;
};

/** The flags that say how a container is kept apart from the host, and what of the host it gets. */
export const isolationOptions = {
  annotation: list('Add an annotation to the container (passed through to the OCI runtime)', { label: 'map' }),
  'cap-add': list('Add Linux capabilities'),
  'cap-drop': list('Drop Linux capabilities'),
  cgroupns: text('Cgroup namespace to use (host|private)'),
  device: list('Add a host device to the container'),
  'device-cgroup-rule': listOf(deviceRule, 'Add a rule to the cgroup allowed devices list'),
  gpus: listOf(gpus, "GPU devices to add to the container ('all' to pass all GPUs)", { label: 'gpu-request' }),
  'group-add': list('Add additional groups to join'),
  ipc: text('IPC mode to use'),
  'memory-swappiness': value('int', swappiness, 'Tune container memory swappiness (0 to 100)', { shownDefault: '-1' }),
  'oom-kill-disable': flag('Disable OOM Killer'),
  'oom-score-adj': integer("Tune host's OOM preferences (-1000 to 1000)"),
  pid: text('PID namespace to use'),
  privileged: flag('Give extended privileges to this container'),
  'security-opt': list('Security Options'),
  'shm-size': value('bytes', parseBytes, 'Size of /dev/shm'),
  sysctl: listOf(sysctl, 'Sysctl options', { label: 'map' }),
  ulimit: listOf(ulimitOf, 'Ulimit options', { label: 'ulimit' }),
  userns: text('User namespace to use'),
  uts: text('UTS namespace to use'),
} as const;

const orNull = <T>(entries: readonly T[]): readonly T[] | null => (entries.length === 0 ? null : entries);

/** The same part of HostConfig. @throws Failure for a profile that cannot be read, a device that is misspelled */
export function isolationBody({ values }: Pick<ParsedOptions<typeof isolationOptions>, 'values'>) {
  const unconfined = values['security-opt'].some((option) => /^systempaths[=:]unconfined$/.test(option));
  const security = values['security-opt'].filter((option) => !/^systempaths[=:]unconfined$/.test(option));
  return {
    Annotations: pairs(values.annotation),
    CapAdd: orNull(values['cap-add']),
    CapDrop: orNull(values['cap-drop']),
    CgroupnsMode: values.cgroupns,
    Devices: orNull(values.device.map(deviceOf)),
    DeviceCgroupRules: orNull(values['device-cgroup-rule']),
    DeviceRequests: orNull(values.gpus),
    GroupAdd: orNull(values['group-add']),
    IpcMode: values.ipc,
    MemorySwappiness: values['memory-swappiness'] ?? -1,
    OomKillDisable: values['oom-kill-disable'],
    OomScoreAdj: values['oom-score-adj'] ?? 0,
    PidMode: values.pid,
    Privileged: values.privileged,
    SecurityOpt: orNull(security.map(securityOption)),
    ...(unconfined ? { MaskedPaths: [], ReadonlyPaths: [] } : {}),
    ShmSize: values['shm-size'] ?? 0,
    Sysctls: pairs(values.sysctl),
    Ulimits: orNull(values.ulimit),
    UsernsMode: values.userns,
    UTSMode: values.uts,
  };
}

/** A seccomp profile is a file of the client's; its content is sent. */
function securityOption(option: string): string {
  const match = /^seccomp[=:](.+)$/.exec(option);
  const path = match?.[1];
  if (path === undefined || path === 'unconfined' || path === 'builtin') return option;
  try {
    return `seccomp=${JSON.stringify(JSON.parse(readFileSync(path, 'utf8')))}`;
  } catch (error) {
    throw new Failure(`opening seccomp profile (${path}) failed: ${messageOf(error)}`, 125);
  }
}

/** `/dev/a[:/dev/b][:rwm]`. */
function deviceOf(spec: string) {
  const [host = '', second, third, ...more] = spec.split(':');
  const onlyMode = second !== undefined && third === undefined && /^[rwm]+$/.test(second);
  const permissions = (onlyMode ? second : third) ?? 'rwm';
  if (host === '' || more.length > 0 || !/^[rwm]{1,3}$/.test(permissions))
    throw new Failure(`invalid device specification: ${spec}; expected HOST[:CONTAINER][:rwm]`, 125);
  return {
    PathOnHost: host,
    PathInContainer: onlyMode || second === undefined ? host : second,
    CgroupPermissions: permissions,
  };
}
