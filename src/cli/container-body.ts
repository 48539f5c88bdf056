import { readFileSync } from 'node:fs';
import { messageOf } from '#errors/index.ts';
import type { containerOptions } from './container-options.ts';
import { environmentOf, readPairsFile } from './env-file.ts';
import { Failure } from './failure.ts';
import { parseVolumes } from './mount-spec.ts';
import type { ParsedOptions } from './options.ts';
import { parsePorts } from './port-spec.ts';

export type ContainerFlags = ParsedOptions<typeof containerOptions>;

/** Which of a process's streams the command is joined with. */
export interface Streams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** `-a` flags, or where there are none: output, and input with `-i`. */
export function attachedStreams({ values }: Pick<ContainerFlags, 'values'>): Streams {
  const asked = values.attach;
  if (asked.length === 0) return { stdin: values.interactive, stdout: true, stderr: true };
  return {
    stdin: asked.includes('stdin'),
    stdout: asked.includes('stdout'),
    stderr: asked.includes('stderr'),
  };
}

/** The body of POST /containers/create. @throws Failure and GantryError for flags that cannot be read */
export function containerBody(flags: ContainerFlags, image: string, command: readonly string[], streams: Streams) {
  const { values, given } = flags;
  const orNull = <T>(entries: readonly T[]): readonly T[] | null => (entries.length === 0 ? null : entries);
  const { binds, volumes } = parseVolumes(values.volume);
  const { exposed, bindings } = parsePorts(values.publish, values.expose);
  return {
    Hostname: values.hostname,
    Domainname: values.domainname,
    User: values.user,
    AttachStdin: streams.stdin,
    AttachStdout: streams.stdout,
    AttachStderr: streams.stderr,
    Tty: values.tty,
    OpenStdin: values.interactive,
    StdinOnce: values.interactive && streams.stdin,
    Env: environmentOf(values['env-file'], values.env, process.env),
    Cmd: orNull(command),
    Image: image,
    WorkingDir: values.workdir,
    Entrypoint: given.has('entrypoint') ? [values.entrypoint] : null,
    Labels: labelsOf(values),
    ExposedPorts: exposed,
    Volumes: volumes,
    ...(values['stop-signal'] === '' ? {} : { StopSignal: values['stop-signal'] }),
    ...(values['stop-timeout'] === undefined ? {} : { StopTimeout: values['stop-timeout'] }),
    ...healthcheckOf(flags),
    HostConfig: {
      Binds: orNull(binds),
      NetworkMode: values.network || values.net || 'default',
      PortBindings: bindings,
      AutoRemove: values.rm,
      PublishAllPorts: values['publish-all'],
      ReadonlyRootfs: values['read-only'],
      ...(given.has('init') ? { Init: values.init } : {}),
      Memory: values.memory ?? 0,
      MemorySwap: values['memory-swap'] ?? 0,
      MemoryReservation: values['memory-reservation'] ?? 0,
      NanoCpus: values.cpus ?? 0,
      CpuShares: values['cpu-shares'] ?? 0,
      CpuQuota: values['cpu-quota'] ?? 0,
      CpuPeriod: values['cpu-period'] ?? 0,
      CpusetCpus: values['cpuset-cpus'],
      ...(values['pids-limit'] === undefined ? {} : { PidsLimit: values['pids-limit'] }),
      CapAdd: orNull(values['cap-add']),
      CapDrop: orNull(values['cap-drop']),
      Privileged: values.privileged,
      SecurityOpt: orNull(values['security-opt'].map(securityOption)),
      Ulimits: orNull(values.ulimit),
      ShmSize: values['shm-size'] ?? 0,
      Sysctls: pairs(values.sysctl),
      ExtraHosts: orNull(values['add-host']),
      Dns: orNull(values.dns),
      GroupAdd: orNull(values['group-add']),
      ...(values.runtime === '' ? {} : { Runtime: values.runtime }),
      OomScoreAdj: values['oom-score-adj'] ?? 0,
      Tmpfs: Object.fromEntries(
        values.tmpfs.map((spec) => {
          const at = spec.indexOf(':');
          return at < 0 ? [spec, ''] : [spec.slice(0, at), spec.slice(at + 1)];
        }),
      ),
      LogConfig: { Type: values['log-driver'], Config: pairs(values['log-opt']) },
      Mounts: orNull(values.mount),
      RestartPolicy: restartPolicy(values.restart, values.rm),
      Devices: orNull(values.device.map(deviceOf)),
      VolumesFrom: orNull(values['volumes-from']),
      Links: orNull(values.link),
      PidMode: values.pid,
      IpcMode: values.ipc,
      UTSMode: values.uts,
      UsernsMode: values.userns,
      CgroupnsMode: values.cgroupns,
      ...(values.tty && process.stdout.isTTY ? { ConsoleSize: [process.stdout.rows, process.stdout.columns] } : {}),
    },
  };
}

const pairs = (entries: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    entries.map((entry) => {
      const at = entry.indexOf('=');
      return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );

const labelsOf = (values: ContainerFlags['values']) =>
  pairs([...values['label-file'].flatMap((path) => readPairsFile(path)), ...values.label]);

function healthcheckOf({ values, given }: ContainerFlags) {
  const asked = [...given].filter((name) => name.startsWith('health-'));
  if (values['no-healthcheck']) {
    if (asked.length > 0) throw new Failure('--no-healthcheck conflicts with --health-* options', 125);
    return { Healthcheck: { Test: ['NONE'] } };
  }
  if (asked.length === 0) return {};
  return {
    Healthcheck: {
      ...(values['health-cmd'] === '' ? {} : { Test: ['CMD-SHELL', values['health-cmd']] }),
      Interval: values['health-interval'] ?? 0,
      Timeout: values['health-timeout'] ?? 0,
      StartPeriod: values['health-start-period'] ?? 0,
      StartInterval: values['health-start-interval'] ?? 0,
      Retries: values['health-retries'] ?? 0,
    },
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

function deviceOf(spec: string) {
  const [host = '', second, third] = spec.split(':');
  const onlyMode = second !== undefined && third === undefined && /^[rwm]+$/.test(second);
  return {
    PathOnHost: host,
    PathInContainer: onlyMode || second === undefined ? host : second,
    CgroupPermissions: (onlyMode ? second : third) ?? 'rwm',
  };
}

function restartPolicy(text: string, autoRemove: boolean) {
  const [name = '', count] = text.split(':');
  if (count !== undefined && !/^\d+$/.test(count))
    throw new Failure('invalid restart policy format: maximum retry count must be an integer', 125);
  if (autoRemove && name !== 'no' && name !== '')
    throw new Failure('conflicting options: cannot specify both --restart and --rm', 125);
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}
