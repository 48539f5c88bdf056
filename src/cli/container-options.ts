import { GantryError } from '#errors/index.ts';
import { checkVariable } from './env-file.ts';
import { isolationOptions } from './isolation-options.ts';
import { parseMount } from './mount-spec.ts';
import { parseNetwork } from './network-spec.ts';
import { fixed, flag, integer, list, listOf, text, unsupported, value } from './options.ts';
import { deviceLimitOptions, resourceOptions } from './resource-options.ts';
import { parseBytes, parseDuration } from './units.ts';

const duration = (help: string) => value('duration', parseDuration, help);

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

/** `--disable-content-trust`, as several commands have it. */
export const contentTrust = (what: 'verification' | 'signing') =>
  fixed(`Skip image ${what}`, true, 'content trust is not supported; digests are verified always');

/** `--isolation` knows one value on Linux. */
export const isolation = () =>
  value(
    'string',
    (written): undefined => {
      if (written !== 'default' && written !== '')
        throw new GantryError(
          'unsupported',
          `isolation "${written}" is not supported; on Linux there is only "default"`,
        );
    },
    'Container isolation technology',
  );

const volumeDriver = (written: string): undefined => {
  if (written !== 'local' && written !== '')
    throw new GantryError('unsupported', `volume driver "${written}" is not supported; there is only "local"`);
};

/** What Docker has no flag for. */
export const onUnhealthy = () =>
  value('string', unhealthyAction, 'What to do when it becomes unhealthy ("restart", "stop", "none")');

const unhealthyAction = (written: string): string => {
  if (written !== 'restart' && written !== 'stop' && written !== 'none')
    throw new Error(`invalid action: '${written}': must be one of "restart", "stop" or "none"`);
  return written;
};

/** The flags that say what a container is; `run` and `create` share them. */
export const containerOptions = {
  ...resourceOptions,
  ...deviceLimitOptions,
  ...isolationOptions,
  'add-host': listOf(hostEntry, 'Add a custom host-to-IP mapping (host:ip)'),
  attach: listOf(streamName, 'Attach to STDIN, STDOUT or STDERR', { short: 'a' }),
  cidfile: text('Write the container ID to the file'),
  dns: list('Set custom DNS servers'),
  'dns-option': list('Set DNS options'),
  'dns-search': list('Set custom DNS search domains'),
  domainname: text('Container NIS domain name'),
  entrypoint: text('Overwrite the default ENTRYPOINT of the image'),
  env: listOf(checkVariable, 'Set environment variables', { short: 'e' }),
  'env-file': list('Read in a file of environment variables'),
  expose: list('Expose a port or a range of ports'),
  'health-cmd': text('Command to run to check health'),
  'health-interval': duration('Time between running the check (ms|s|m|h)'),
  'health-on-unhealthy': onUnhealthy(),
  'health-retries': integer('Consecutive failures needed to report unhealthy'),
  'health-start-interval': duration('Time between running the check during the start period (ms|s|m|h)'),
  'health-start-period': duration(
    'Start period for the container to initialize before starting health-retries countdown (ms|s|m|h)',
  ),
  'health-timeout': duration('Maximum time to allow one check to run (ms|s|m|h)'),
  hostname: text('Container host name', { short: 'h' }),
  init: flag('Run an init inside the container that forwards signals and reaps processes'),
  interactive: flag('Keep STDIN open even if not attached', { short: 'i' }),
  ip: text('IPv4 address (e.g., 172.30.100.104)'),
  ip6: text('IPv6 address (e.g., 2001:db8::33)'),
  label: list('Set meta data on a container', { short: 'l' }),
  'label-file': list('Read in a line delimited file of labels'),
  link: list('Add link to another container'),
  'link-local-ip': list('Container IPv4/IPv6 link-local addresses'),
  'log-driver': text('Logging driver for the container'),
  'log-opt': list('Log driver options'),
  'mac-address': text('Container MAC address (e.g., 92:d0:c6:0a:29:33)'),
  mount: listOf((spec) => parseMount(spec, parseBytes), 'Attach a filesystem mount to the container', {
    label: 'mount',
  }),
  name: text('Assign a name to the container'),
  net: listOf(parseNetwork, 'Connect a container to a network', { label: 'network', hidden: true }),
  network: listOf(parseNetwork, 'Connect a container to a network: none, host, bridge, container:NAME or a name', {
    label: 'network',
  }),
  'network-alias': list('Add network-scoped alias for the container'),
  'no-healthcheck': flag('Disable any container-specified HEALTHCHECK'),
  platform: text('Set platform if server is multi-platform capable'),
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
  'stop-signal': text('Signal to stop the container'),
  'stop-timeout': integer('Timeout (in seconds) to stop a container'),
  tmpfs: list('Mount a tmpfs directory'),
  tty: flag('Allocate a pseudo-TTY', { short: 't' }),
  user: text('Username or UID (format: <name|uid>[:<group|gid>])', { short: 'u' }),
  volume: list('Bind mount a volume', { short: 'v' }),
  'volumes-from': list('Mount volumes from the specified container(s)'),
  workdir: text('Working directory inside the container', { short: 'w' }),
  'cgroup-parent': text('Optional parent cgroup for the container'),
  'cpu-count': unsupported('CPU count (Windows only)', 'int'),
  'cpu-percent': unsupported('CPU percent (Windows only)', 'int'),
  'disable-content-trust': contentTrust('verification'),
  'io-maxbandwidth': unsupported('Maximum IO bandwidth limit for the system drive (Windows only)', 'bytes'),
  'io-maxiops': unsupported('Maximum IOps limit for the system drive (Windows only)', 'uint'),
  isolation: isolation(),
  'kernel-memory': unsupported('Kernel memory limit', 'bytes'),
  'storage-opt': list('Storage driver options for the container'),
  'use-api-socket': unsupported('Bind mount the API socket and required auth', ''),
  'volume-driver': value('string', volumeDriver, 'Optional volume driver for the container'),
} as const;
