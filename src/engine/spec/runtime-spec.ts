import { hostname as hostName } from 'node:os';
import { GantryError } from '#errors/index.ts';
import type { ImageConfig, Mount, NamespaceType, Process, RuntimeSpec } from '#oci/index.ts';
import type { Container, ContainerOptions, UserRange } from '../engine.ts';
import { capabilitiesOf, capabilitySets } from './capabilities.ts';
import { defaultPath, maskedPaths, readonlyPaths } from './defaults.ts';
import { deviceRulesOf, type GivenDevices } from './device-rules.ts';
import { mergeEnv, type Source } from './environment.ts';
import { type Machine, thisMachine } from './machine.ts';
import { mountsOf } from './mounts.ts';
import { checkModes, checkSysctls, isAsked, isOwn, namespacesOf, namespaceTypes } from './namespaces.ts';
import { resolveUser } from './resolve-user.ts';
import { type BlockDevices, resourcesOf } from './resources.ts';
import { securityOf } from './security.ts';
import { rlimitsOf } from './ulimits.ts';

/** What the engine found on the host, or made there, for one start. Absent at create: the specification is only checked then. */
export interface HostParts {
  readonly devices: GivenDevices;
  readonly blockDevices: BlockDevices;
  /** Namespaces of other containers, by paths that stay theirs while the container is made. */
  readonly joined: Readonly<Partial<Record<NamespaceType, string>>>;
  /** A directory that stands at /dev/shm, where it is shared with others. */
  readonly sharedMemory?: string;
}

export interface ComposeInput {
  readonly id: string;
  readonly options: ContainerOptions;
  readonly image: ImageConfig;
  /** The image's passwd and group files; undefined while nothing is mounted yet: the user is not resolved then. */
  readonly user: { readonly passwd: string; readonly group: string } | undefined;
  /** Volumes, binds and images, ready to be mounted. */
  readonly mounts: readonly Mount[];
  /** Files on the host that the engine manages for the container. */
  readonly files: { readonly hosts: string; readonly hostname: string; readonly resolvConf: string } | undefined;
  readonly cgroupsPath: string;
  /** Variables of legacy links. */
  readonly linkEnvironment?: readonly string[];
  readonly host?: HostParts;
  readonly userRange?: UserRange;
  /** Where it is to run; this host where it is left out. */
  readonly machine?: Machine;
}

/**
 * Merges the engine's defaults, the image's config and the user's options into a runtime spec, and keeps for every
 * field which of them it came from.
 * @throws GantryError invalid | unsupported, naming the option
 */
export function composeSpec(input: ComposeInput): {
  readonly spec: RuntimeSpec;
  readonly resolved: Container['resolved'];
  readonly provenance: Container['provenance'];
} {
  const { options, id, userRange } = input;
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

  checkModes(options);
  provenance['linux.namespaces[user]'] = options.userMode === undefined ? 'default' : 'user';
  checkSysctls(options.sysctls ?? {}, options);
  const ownName = isOwn('uts', options);
  if (!ownName && (filled(options.hostname) ?? filled(options.domainname)) !== undefined)
    throw new GantryError('invalid', `conflicting options: hostname and the UTS mode ${options.utsMode}`);
  const usesHostName = options.utsMode === 'host' || options.networkMode === 'host';
  const hostname = pick('hostname', filled(options.hostname), undefined, usesHostName ? hostName() : id.slice(0, 12));
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
          ...(input.linkEnvironment ?? []),
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

  const machine = input.machine ?? thisMachine();
  const capabilities = capabilitiesOf(options, machine.capabilities);
  provenance['process.capabilities'] = options.privileged || options.capAdd || options.capDrop ? 'user' : 'default';
  const security = securityOf(options, capabilities, machine.modules);
  provenance['linux.seccomp'] = options.securityOptions === undefined ? 'default' : 'user';
  const resources = resourcesOf(options, input.host?.blockDevices);
  for (const [group, limits] of Object.entries(resources))
    for (const name of Object.keys(limits)) provenance[`linux.resources.${group}.${name}`] = 'user';
  provenance['linux.resources.devices'] =
    options.privileged || options.devices || options.deviceCgroupRules ? 'user' : 'default';
  const namespaces = namespacesOf(options, input.host?.joined ?? {});
  for (const type of namespaceTypes)
    provenance[`linux.namespaces[${type}]`] = isAsked(type, options) ? 'user' : 'default';
  const ownNetwork = isOwn('network', options);

  const umask = options.umask === undefined ? {} : { umask: options.umask };
  const process: Process = {
    terminal: options.terminal ?? false,
    user:
      account === undefined
        ? { uid: 0, gid: 0, ...umask }
        : { uid: account.uid, gid: account.gid, additionalGids: account.additionalGids, ...umask },
    args,
    env,
    cwd: workingDir,
    capabilities: capabilitySets(capabilities, account === undefined || account.uid === 0),
    rlimits: rlimitsOf(options, machine.ulimits),
    noNewPrivileges: security.noNewPrivileges,
    ...(options.oomScoreAdj === undefined ? {} : { oomScoreAdj: options.oomScoreAdj }),
    ...(security.apparmorProfile === undefined ? {} : { apparmorProfile: security.apparmorProfile }),
    ...(security.selinuxLabel === undefined ? {} : { selinuxLabel: security.selinuxLabel }),
  };
  const spec: RuntimeSpec = {
    ociVersion: '1.2.0',
    process,
    root: { path: 'rootfs', readonly: options.readOnlyRootfs ?? false },
    ...(ownName ? { hostname } : {}),
    ...(filled(options.domainname) === undefined ? {} : { domainname: options.domainname ?? '' }),
    mounts: mountsOf({
      options,
      mounts: input.mounts,
      files: input.files,
      sharedMemory: input.host?.sharedMemory,
      ownUsers: userRange !== undefined,
    }),
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
    linux: {
      namespaces: userRange === undefined ? namespaces : [...namespaces, { type: 'user' }],
      ...(userRange === undefined
        ? {}
        : {
            uidMappings: [{ containerID: 0, hostID: userRange.uid, size: userRange.size }],
            gidMappings: [{ containerID: 0, hostID: userRange.gid, size: userRange.size }],
          }),
      cgroupsPath: input.cgroupsPath,
      devices: input.host?.devices.nodes ?? [],
      resources: { ...resources, devices: deviceRulesOf(options, input.host?.devices) },
      sysctl: {
        ...(ownNetwork
          ? {
              'net.ipv4.ip_unprivileged_port_start': '0',
              'net.ipv4.ping_group_range': `0 ${userRange === undefined ? 2147483647 : userRange.size - 1}`,
            }
          : {}),
        ...options.sysctls,
      },
      ...(security.seccomp === undefined ? {} : { seccomp: security.seccomp }),
      ...(security.mountLabel === undefined ? {} : { mountLabel: security.mountLabel }),
      maskedPaths: options.maskedPaths ?? (options.privileged ? [] : maskedPaths()),
      readonlyPaths: options.readonlyPaths ?? (options.privileged ? [] : readonlyPaths),
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
      volumes: [...new Set([...Object.keys(image.Volumes ?? {}), ...(options.anonymousVolumes ?? [])])],
      hostname,
    },
  };
}
