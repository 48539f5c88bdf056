import { GantryError } from '#errors/index.ts';
import type { ImageConfig, Mount, Process, Resources, RuntimeSpec } from '#oci/index.ts';
import { defaultSeccompProfile } from '#runtime/index.ts';
import type { Container, ContainerOptions, ExecOptions } from '../engine.ts';
import {
  allCapabilities,
  defaultCapabilities,
  defaultDeviceRules,
  defaultMounts,
  defaultPath,
  maskedPaths,
  namespaces,
  readonlyPaths,
} from './defaults.ts';
import { resolveUser } from './resolve-user.ts';

export interface ComposeInput {
  readonly id: string;
  readonly options: ContainerOptions;
  readonly image: ImageConfig;
  /** The image's passwd and group files; undefined while nothing is mounted yet: the user is not resolved then. */
  readonly user: { readonly passwd: string; readonly group: string } | undefined;
  readonly mounts: Container['mounts'];
  /** Files on the host that the engine manages for the container. */
  readonly files: { readonly hosts: string; readonly hostname: string; readonly resolvConf: string } | undefined;
  readonly cgroupsPath: string;
}

type Source = Container['provenance'][string];

/** Merges `NAME=value` lists; a later one wins, a bare NAME removes. Remembers where each came from. */
function mergeEnv(
  lists: readonly (readonly [Source, readonly string[]])[],
  provenance: Record<string, Source>,
): readonly string[] {
  const merged = new Map<string, string>();
  for (const [source, list] of lists) {
    for (const entry of list) {
      const at = entry.indexOf('=');
      const name = at < 0 ? entry : entry.slice(0, at);
      if (name === '') throw new GantryError('invalid', `invalid environment variable: ${entry}`);
      if (at < 0) {
        merged.delete(name);
        delete provenance[`process.env[${name}]`];
      } else {
        merged.set(name, entry);
        provenance[`process.env[${name}]`] = source;
      }
    }
  }
  return [...merged.values()];
}

function capabilitiesOf(options: ContainerOptions): readonly string[] {
  if (options.privileged) return allCapabilities;
  const named = (list: readonly string[] | undefined) =>
    (list ?? []).map((name) => {
      const full = name.toUpperCase() === 'ALL' ? 'ALL' : `CAP_${name.toUpperCase().replace(/^CAP_/, '')}`;
      if (full !== 'ALL' && !allCapabilities.includes(full))
        throw new GantryError('invalid', `unknown capability: "${name}"`);
      return full;
    });
  const add = named(options.capAdd);
  const drop = named(options.capDrop);
  const base = add.includes('ALL') ? allCapabilities : drop.includes('ALL') ? [] : defaultCapabilities;
  const wanted = new Set([...base, ...add.filter((name) => name !== 'ALL')]);
  for (const name of drop) wanted.delete(name);
  return [...wanted];
}

function resourcesOf(options: ContainerOptions): Resources {
  const limit = options.memoryBytes;
  if (limit !== undefined && limit < 6 * 1024 * 1024)
    throw new GantryError('invalid', 'Minimum memory limit allowed is 6MB');
  if (options.nanoCpus !== undefined && options.cpuQuota !== undefined)
    throw new GantryError('invalid', 'Conflicting options: CPU quota and --cpus cannot both be set');
  const period = options.cpuPeriod ?? (options.nanoCpus === undefined ? undefined : 100_000);
  const quota =
    options.cpuQuota ?? (options.nanoCpus === undefined ? undefined : Math.floor((options.nanoCpus / 1e9) * 100_000));
  const swap = options.memorySwapBytes ?? (limit === undefined ? undefined : limit * 2);
  return {
    devices: options.privileged ? [{ allow: true, access: 'rwm' }] : defaultDeviceRules,
    memory: {
      ...(limit === undefined ? {} : { limit }),
      ...(swap === undefined ? {} : { swap }),
      ...(options.memoryReservationBytes === undefined ? {} : { reservation: options.memoryReservationBytes }),
    },
    cpu: {
      ...(options.cpuShares === undefined ? {} : { shares: options.cpuShares }),
      ...(quota === undefined ? {} : { quota }),
      ...(period === undefined ? {} : { period }),
      ...(options.cpusetCpus === undefined ? {} : { cpus: options.cpusetCpus }),
    },
    ...(options.pidsLimit === undefined ? {} : { pids: { limit: options.pidsLimit } }),
  };
}

/** What `--security-opt` asks. @throws GantryError unsupported for what is not built */
function securityOf(options: ContainerOptions): { noNewPrivileges: boolean; seccomp: boolean } {
  let noNewPrivileges = false;
  let seccomp = !options.privileged;
  for (const option of options.securityOptions ?? []) {
    if (/^no-new-privileges(?:[:=]true)?$/.test(option)) noNewPrivileges = true;
    else if (/^no-new-privileges[:=]false$/.test(option)) noNewPrivileges = false;
    else if (/^seccomp[:=]unconfined$/.test(option)) seccomp = false;
    else if (!/^seccomp[:=]builtin$/.test(option))
      throw new GantryError('unsupported', `security option "${option}": not supported yet`);
  }
  return { noNewPrivileges, seccomp };
}

/**
 * Merges the engine's defaults, the image's config and the user's options into a runtime spec, and keeps for every
 * field which of them it came from. Pure.
 * @throws GantryError invalid | unsupported, naming the option
 */
export function composeSpec(input: ComposeInput): {
  readonly spec: RuntimeSpec;
  readonly resolved: Container['resolved'];
  readonly provenance: Container['provenance'];
} {
  const { options, id } = input;
  const image = input.image.config ?? {};
  const provenance: Record<string, Source> = {};
  const pick = <T>(field: string, user: T | undefined, fromImage: T | undefined, fallback: T): T => {
    provenance[field] = user !== undefined ? 'user' : fromImage !== undefined ? 'image' : 'default';
    return user ?? fromImage ?? fallback;
  };
  const filled = <T extends string | readonly unknown[]>(value: T | undefined): T | undefined =>
    value === undefined || value.length === 0 ? undefined : value;

  const entrypoint = options.entrypoint ?? image.Entrypoint ?? [];
  // A new entrypoint drops the image's command (Dockerfile reference: CMD and ENTRYPOINT).
  const command = filled(options.command) ?? (options.entrypoint === undefined ? (image.Cmd ?? []) : []);
  const args = [...entrypoint, ...command];
  provenance['process.args'] =
    options.entrypoint !== undefined || filled(options.command) !== undefined ? 'user' : 'image';
  const [path] = args;
  if (path === undefined)
    throw new GantryError('invalid', `no command specified: image ${options.image} has none, give one`, {
      code: 'no-command',
    });

  const hostNetwork = options.networkMode === 'host';
  const hostname = pick('hostname', filled(options.hostname), undefined, id.slice(0, 12));
  const user = pick('process.user', filled(options.user), filled(image.User), '');
  const workingDir = pick('process.cwd', filled(options.workingDir), filled(image.WorkingDir), '/');
  if (!workingDir.startsWith('/'))
    throw new GantryError(
      'invalid',
      `the working directory "${workingDir}" is invalid, it needs to be an absolute path`,
    );
  const account =
    input.user === undefined ? undefined : resolveUser(user, input.user.passwd, input.user.group, options.groupAdd);
  const env = mergeEnv(
    [
      ['default', [defaultPath]],
      [
        'engine',
        [
          `HOSTNAME=${hostname}`,
          ...(options.terminal ? ['TERM=xterm'] : []),
          ...(account === undefined ? [] : [`HOME=${account.home}`]),
        ],
      ],
      ['image', image.Env ?? []],
      ['user', options.env ?? []],
    ],
    provenance,
  );
  const labels = { ...image.Labels, ...options.labels };
  const stopSignal = pick('stopSignal', filled(options.stopSignal), filled(image.StopSignal), 'SIGTERM');
  const exposedPorts = [
    ...new Set([
      ...Object.keys(image.ExposedPorts ?? {}),
      ...(options.exposedPorts ?? []),
      ...(options.ports ?? []).map((p) => `${p.containerPort}/${p.protocol}`),
    ]),
  ];

  const capabilities = capabilitiesOf(options);
  provenance['process.capabilities'] = options.privileged || options.capAdd || options.capDrop ? 'user' : 'default';
  const root = account === undefined || account.uid === 0;
  const security = securityOf(options);
  provenance['linux.seccomp'] = options.securityOptions === undefined ? 'default' : 'user';
  provenance['linux.resources'] = options.memoryBytes || options.nanoCpus || options.pidsLimit ? 'user' : 'default';

  const bind = (source: string, destination: string, readOnly: boolean): Mount => ({
    destination,
    type: 'bind',
    source,
    options: ['rbind', 'rprivate', readOnly ? 'rro' : 'rw'],
  });
  const own = new Set(input.mounts.map((mount) => mount.target));
  const managed: readonly Mount[] =
    input.files === undefined
      ? []
      : [
          bind(input.files.resolvConf, '/etc/resolv.conf', false),
          bind(input.files.hostname, '/etc/hostname', false),
          bind(input.files.hosts, '/etc/hosts', false),
        ].filter((mount) => !own.has(mount.destination));
  const mounts: Mount[] = [
    ...defaultMounts({ shmSize: options.shmSizeBytes ?? 64 * 1024 * 1024, sysReadOnly: !options.privileged }),
    ...managed,
    ...Object.entries(options.tmpfs ?? {}).map(
      ([destination, text]): Mount => ({
        destination,
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'nodev', 'noexec', ...text.split(',').filter((o) => o !== '')],
      }),
    ),
    ...input.mounts.map(
      (mount): Mount =>
        mount.type === 'tmpfs'
          ? {
              destination: mount.target,
              type: 'tmpfs',
              source: 'tmpfs',
              options: ['nosuid', 'nodev', 'noexec', ...(mount.readOnly ? ['ro'] : [])],
            }
          : bind(mount.source, mount.target, mount.readOnly),
    ),
  ];
  for (const mount of mounts) {
    if (!mount.destination.startsWith('/'))
      throw new GantryError('invalid', `invalid mount path: '${mount.destination}' mount path must be absolute`);
  }

  const process: Process = {
    terminal: options.terminal ?? false,
    user:
      account === undefined
        ? { uid: 0, gid: 0 }
        : { uid: account.uid, gid: account.gid, additionalGids: account.additionalGids },
    args,
    env,
    cwd: workingDir,
    capabilities: {
      bounding: capabilities,
      permitted: root ? capabilities : [],
      effective: root ? capabilities : [],
      inheritable: [],
      ambient: [],
    },
    rlimits: (options.ulimits ?? []).map(({ name, soft, hard }) => ({
      type: `RLIMIT_${name.toUpperCase()}`,
      soft,
      hard,
    })),
    noNewPrivileges: security.noNewPrivileges,
    ...(options.oomScoreAdj === undefined ? {} : { oomScoreAdj: options.oomScoreAdj }),
  };
  const spec: RuntimeSpec = {
    ociVersion: '1.2.0',
    process,
    root: { path: 'rootfs', readonly: options.readOnlyRootfs ?? false },
    hostname,
    ...(filled(options.domainname) === undefined ? {} : { domainname: options.domainname ?? '' }),
    mounts,
    linux: {
      namespaces: namespaces.filter((type) => type !== 'network' || !hostNetwork).map((type) => ({ type })),
      cgroupsPath: input.cgroupsPath,
      resources: resourcesOf(options),
      sysctl: {
        ...(hostNetwork
          ? {}
          : { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' }),
        ...options.sysctls,
      },
      ...(security.seccomp ? { seccomp: defaultSeccompProfile(capabilities) } : {}),
      maskedPaths: options.privileged ? [] : maskedPaths(),
      readonlyPaths: options.privileged ? [] : readonlyPaths,
    },
  };
  return {
    spec,
    provenance,
    resolved: {
      path,
      args: args.slice(1),
      env,
      workingDir,
      user,
      labels,
      stopSignal,
      entrypoint,
      command,
      exposedPorts,
      volumes: Object.keys(image.Volumes ?? {}),
      hostname,
    },
  };
}

/** The process of an exec: the container's, with what the caller changes. */
export function composeExecProcess(input: {
  readonly container: Container;
  readonly options: ExecOptions;
  readonly passwd: string;
  readonly group: string;
}): Process {
  const { container, options } = input;
  const account = resolveUser(
    options.user ?? container.resolved.user,
    input.passwd,
    input.group,
    options.user === undefined ? container.options.groupAdd : [],
  );
  const capabilities = options.privileged ? allCapabilities : capabilitiesOf(container.options);
  const root = account.uid === 0;
  const env = mergeEnv(
    [
      ['engine', [...(options.terminal ? ['TERM=xterm'] : []), `HOME=${account.home}`]],
      ['image', container.resolved.env.filter((entry) => !entry.startsWith('HOME='))],
      ['user', options.env ?? []],
    ],
    {},
  );
  return {
    terminal: options.terminal ?? false,
    user: { uid: account.uid, gid: account.gid, additionalGids: account.additionalGids },
    args: options.command,
    env,
    cwd: options.workingDir ?? container.resolved.workingDir,
    capabilities: {
      bounding: capabilities,
      permitted: root ? capabilities : [],
      effective: root ? capabilities : [],
      inheritable: [],
      ambient: [],
    },
    noNewPrivileges: securityOf(container.options).noNewPrivileges,
  };
}
