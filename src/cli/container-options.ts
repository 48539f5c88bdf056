import { checkVariable } from './env-file.ts';
import { parseMount } from './mount-spec.ts';
import { flag, integer, list, listOf, text, unsupported, value } from './options.ts';
import { parseBytes, parseDuration } from './units.ts';

const bytes = (help: string, short?: string) => value('bytes', parseBytes, help, short === undefined ? {} : { short });
const duration = (help: string) => value('duration', parseDuration, help);

const cpus = (written: string): number => {
  if (!/^\d+(?:\.\d{1,9})?$|^\.\d{1,9}$/.test(written)) throw new Error(`"${written}" is not a number of processors`);
  return Math.round(Number(written) * 1e9);
};

/** `--memory-swap`: bytes, or -1 for no limit. */
const swap = (written: string): number => (written === '-1' ? -1 : parseBytes(written));

const pull = (written: string): 'always' | 'missing' | 'never' => {
  if (written !== 'always' && written !== 'missing' && written !== 'never')
    throw new Error(`invalid pull option: '${written}': must be one of "always", "missing" or "never"`);
  return written;
};

const streamName = (written: string): string => {
  const name = written.toLowerCase();
  if (name !== 'stdin' && name !== 'stdout' && name !== 'stderr')
    throw new Error('valid streams are STDIN, STDOUT and STDERR');
  return name;
};

/** `name:address`, also written `name=address`; the engine reads the first. */
export const hostEntry = (written: string): string => {
  const match = /^([^:=]+)[:=](.+)$/.exec(written);
  if (match === null) throw new Error(`bad format for add-host: "${written}"`);
  return `${match[1]}:${(match[2] ?? '').replace(/^\[(.*)\]$/, '$1')}`;
};

/** `nofile=1024:2048`; one number stands for both. */
export const ulimitOf = (written: string) => {
  const match = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(written);
  if (match === null) throw new Error(`invalid ulimit argument: ${written}; expected NAME=SOFT[:HARD]`);
  const [, name = '', soft = '', hard = soft] = match;
  if (Number(hard) >= 0 && (Number(soft) > Number(hard) || Number(soft) < 0))
    throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return { Name: name, Soft: Number(soft), Hard: Number(hard) };
};

/** The flags that say what a container is; `run` and `create` share them. */
export const containerOptions = {
  'add-host': listOf(hostEntry, 'Add a custom host-to-IP mapping (host:ip)'),
  attach: listOf(streamName, 'Attach to STDIN, STDOUT or STDERR', { short: 'a' }),
  'cap-add': list('Add Linux capabilities'),
  'cap-drop': list('Drop Linux capabilities'),
  cgroupns: text('Cgroup namespace to use (host|private)'),
  cidfile: text('Write the container ID to the file'),
  'cpu-period': integer('Limit CPU CFS (Completely Fair Scheduler) period'),
  'cpu-quota': integer('Limit CPU CFS (Completely Fair Scheduler) quota'),
  'cpu-shares': integer('CPU shares (relative weight)', { short: 'c' }),
  cpus: value('decimal', cpus, 'Number of CPUs'),
  'cpuset-cpus': text('CPUs in which to allow execution (0-3, 0,1)'),
  device: list('Add a host device to the container'),
  dns: list('Set custom DNS servers'),
  domainname: text('Container NIS domain name'),
  entrypoint: text('Overwrite the default ENTRYPOINT of the image'),
  env: listOf(checkVariable, 'Set environment variables', { short: 'e' }),
  'env-file': list('Read in a file of environment variables'),
  expose: list('Expose a port or a range of ports'),
  'group-add': list('Add additional groups to join'),
  'health-cmd': text('Command to run to check health'),
  'health-interval': duration('Time between running the check (ms|s|m|h)'),
  'health-retries': integer('Consecutive failures needed to report unhealthy'),
  'health-start-interval': duration('Time between running the check during the start period (ms|s|m|h)'),
  'health-start-period': duration(
    'Start period for the container to initialize before starting health-retries countdown (ms|s|m|h)',
  ),
  'health-timeout': duration('Maximum time to allow one check to run (ms|s|m|h)'),
  hostname: text('Container host name', { short: 'h' }),
  init: flag('Run an init inside the container that forwards signals and reaps processes'),
  interactive: flag('Keep STDIN open even if not attached', { short: 'i' }),
  ipc: text('IPC mode to use'),
  label: list('Set meta data on a container', { short: 'l' }),
  'label-file': list('Read in a line delimited file of labels'),
  link: list('Add link to another container'),
  'log-driver': text('Logging driver for the container'),
  'log-opt': list('Log driver options'),
  memory: bytes('Memory limit', 'm'),
  'memory-reservation': bytes('Memory soft limit'),
  'memory-swap': value('bytes', swap, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
  mount: listOf((spec) => parseMount(spec, parseBytes), 'Attach a filesystem mount to the container', {
    label: 'mount',
  }),
  name: text('Assign a name to the container'),
  net: text('Connect a container to a network', { label: 'network', hidden: true }),
  network: text('Connect a container to a network: none, host, bridge or a name', { label: 'network' }),
  'no-healthcheck': flag('Disable any container-specified HEALTHCHECK'),
  'oom-score-adj': integer("Tune host's OOM preferences (-1000 to 1000)"),
  pid: text('PID namespace to use'),
  'pids-limit': integer('Tune container pids limit (set -1 for unlimited)'),
  platform: text('Set platform if server is multi-platform capable'),
  privileged: flag('Give extended privileges to this container'),
  publish: list("Publish a container's port(s) to the host", { short: 'p' }),
  'publish-all': flag('Publish all exposed ports to random ports', { short: 'P' }),
  pull: value('string', pull, 'Pull image before running ("always", "missing", "never")', {
    shownDefault: '"missing"',
  }),
  quiet: flag('Suppress the pull output', { short: 'q' }),
  'read-only': flag("Mount the container's root filesystem as read only"),
  restart: text('Restart policy to apply when a container exits', { initial: 'no' }),
  rm: flag('Automatically remove the container and its associated anonymous volumes when it exits'),
  runtime: text('Runtime to use for this container'),
  'security-opt': list('Security Options'),
  'shm-size': bytes('Size of /dev/shm'),
  'stop-signal': text('Signal to stop the container'),
  'stop-timeout': integer('Timeout (in seconds) to stop a container'),
  sysctl: list('Sysctl options', { label: 'map' }),
  tmpfs: list('Mount a tmpfs directory'),
  tty: flag('Allocate a pseudo-TTY', { short: 't' }),
  ulimit: listOf(ulimitOf, 'Ulimit options', { label: 'ulimit' }),
  user: text('Username or UID (format: <name|uid>[:<group|gid>])', { short: 'u' }),
  userns: text('User namespace to use'),
  uts: text('UTS namespace to use'),
  volume: list('Bind mount a volume', { short: 'v' }),
  'volumes-from': list('Mount volumes from the specified container(s)'),
  workdir: text('Working directory inside the container', { short: 'w' }),
  annotation: unsupported('map'),
  'blkio-weight': unsupported('uint16'),
  'blkio-weight-device': unsupported('list'),
  'cgroup-parent': unsupported(),
  'cpu-rt-period': unsupported('int'),
  'cpu-rt-runtime': unsupported('int'),
  'cpuset-mems': unsupported(),
  'device-cgroup-rule': unsupported('list'),
  'device-read-bps': unsupported('list'),
  'device-read-iops': unsupported('list'),
  'device-write-bps': unsupported('list'),
  'device-write-iops': unsupported('list'),
  'disable-content-trust': unsupported(''),
  'dns-option': unsupported('list'),
  'dns-search': unsupported('list'),
  gpus: unsupported('gpu-request'),
  ip: unsupported(),
  ip6: unsupported(),
  isolation: unsupported(),
  'kernel-memory': unsupported('bytes'),
  'link-local-ip': unsupported('list'),
  'mac-address': unsupported(),
  'memory-swappiness': unsupported('int'),
  'network-alias': unsupported('list'),
  'oom-kill-disable': unsupported(''),
  'storage-opt': unsupported('list'),
  'use-api-socket': unsupported(''),
  'volume-driver': unsupported(),
} as const;
