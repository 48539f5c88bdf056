import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { GantryError, messageOf } from '#errors/index.ts';
import type { Process, RuntimeSpec } from '#oci/index.ts';
import {
  absolutePath,
  filled,
  flag,
  integer,
  list,
  mapOf,
  matching,
  notBuilt,
  object,
  oneOf,
  type Rule,
  refuse,
  text,
} from './config-rules.ts';

const U32 = 2 ** 32 - 1;
const id = integer(0, U32);
const unsigned: Rule = (value, pointer) => {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= 2 ** 64)
    if (value !== 2 ** 64) refuse(pointer, value, 'it must be a whole number from 0');
};

const capabilities = list(matching(/^CAP_[A-Z_]+$/, 'use a name like CAP_CHOWN'));

const processRule = object(
  {
    terminal: flag,
    consoleSize: object({ height: integer(0, 65_535), width: integer(0, 65_535) }, ['height', 'width']),
    user: object({ uid: id, gid: id, umask: integer(0, 0o777), additionalGids: list(id), username: notBuilt }),
    args: (value, pointer) => {
      list(text)(value, pointer);
      if (Array.isArray(value) && value.length === 0) refuse(pointer, value, 'it must name a program');
    },
    env: list(text),
    cwd: absolutePath,
    capabilities: object({
      bounding: capabilities,
      effective: capabilities,
      inheritable: capabilities,
      permitted: capabilities,
      ambient: capabilities,
    }),
    rlimits: list(
      object({ type: matching(/^RLIMIT_[A-Z]+$/, 'use a name like RLIMIT_NOFILE'), soft: unsigned, hard: unsigned }, [
        'type',
        'soft',
        'hard',
      ]),
    ),
    noNewPrivileges: flag,
    oomScoreAdj: integer(-1000, 1000),
    apparmorProfile: notBuilt,
    selinuxLabel: notBuilt,
    ioPriority: notBuilt,
    scheduler: notBuilt,
    execCPUAffinity: notBuilt,
  },
  ['args', 'cwd'],
);

const mount = object(
  {
    destination: filled,
    type: text,
    source: text,
    options: list(text),
    uidMappings: notBuilt,
    gidMappings: notBuilt,
  },
  ['destination'],
);

const bytes = integer(-1);
const resources = object({
  devices: list(
    object(
      {
        allow: flag,
        type: oneOf('', 'a', 'b', 'c', 'u'),
        major: integer(-1, U32),
        minor: integer(-1, U32),
        access: matching(/^[rwm]*$/, 'use r, w and m'),
      },
      ['allow'],
    ),
  ),
  memory: object({
    limit: bytes,
    reservation: bytes,
    swap: bytes,
    kernel: notBuilt,
    kernelTCP: notBuilt,
    swappiness: notBuilt,
    disableOOMKiller: notBuilt,
    checkBeforeUpdate: notBuilt,
    // Every kernel that still has v1 counts below a cgroup too.
    useHierarchy: flag,
  }),
  cpu: object({
    shares: integer(0),
    quota: integer(-1),
    period: integer(0),
    cpus: text,
    mems: text,
    burst: notBuilt,
    idle: notBuilt,
    realtimeRuntime: notBuilt,
    realtimePeriod: notBuilt,
  }),
  pids: object({ limit: integer(-1) }),
  unified: mapOf(text),
  blockIO: notBuilt,
  hugepageLimits: notBuilt,
  network: notBuilt,
  rdma: notBuilt,
});

const seccompAction = matching(/^SCMP_ACT_[A-Z_]+$/, 'use a name like SCMP_ACT_ERRNO');
const seccomp = object(
  {
    defaultAction: seccompAction,
    defaultErrnoRet: integer(0, 4095),
    architectures: list(text),
    flags: list(text),
    listenerPath: notBuilt,
    syscalls: list(
      object(
        {
          names: list(filled),
          action: seccompAction,
          errnoRet: integer(0, 4095),
          args: list(
            object(
              {
                index: integer(0, 5),
                value: unsigned,
                valueTwo: unsigned,
                op: matching(/^SCMP_CMP_/, 'use a name like SCMP_CMP_EQ'),
              },
              ['index', 'value', 'op'],
            ),
          ),
        },
        ['names', 'action'],
      ),
    ),
  },
  ['defaultAction'],
);

const linux = object({
  namespaces: list(
    object({ type: oneOf('pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'), path: absolutePath }, [
      'type',
    ]),
  ),
  devices: list(
    object(
      {
        path: absolutePath,
        type: oneOf('c', 'b', 'u', 'p'),
        major: integer(0, U32),
        minor: integer(0, U32),
        fileMode: integer(0, 0o177_777),
        uid: id,
        gid: id,
      },
      ['path', 'type'],
    ),
  ),
  cgroupsPath: text,
  resources,
  rootfsPropagation: oneOf(
    '',
    'private',
    'rprivate',
    'slave',
    'rslave',
    'shared',
    'rshared',
    'unbindable',
    'runbindable',
  ),
  seccomp,
  sysctl: mapOf(text),
  maskedPaths: list(absolutePath),
  readonlyPaths: list(absolutePath),
  uidMappings: notBuilt,
  gidMappings: notBuilt,
  timeOffsets: notBuilt,
  mountLabel: notBuilt,
  intelRdt: notBuilt,
  netDevices: notBuilt,
  personality: notBuilt,
  memoryPolicy: notBuilt,
});

const config = object(
  {
    ociVersion: matching(/^1\.\d+\.\d+/, 'this runtime carries out version 1 of the runtime specification'),
    process: processRule,
    root: object({ path: filled, readonly: flag }, ['path']),
    hostname: text,
    domainname: text,
    mounts: list(mount),
    annotations: mapOf(text),
    hooks: object({
      prestart: notBuilt,
      createRuntime: notBuilt,
      createContainer: notBuilt,
      startContainer: notBuilt,
      poststart: notBuilt,
      poststop: notBuilt,
    }),
    linux,
  },
  ['ociVersion', 'root', 'process'],
);

/** Nulls that Go's encoders write for empty lists mean the same as absence. */
const withoutNulls = (_: string, value: unknown) => (value === null ? undefined : value);

/**
 * Reads a bundle's config.json and checks every field before anything is made (runtime-spec: config.md).
 * @returns the configuration, with `root.path` absolute
 * @throws GantryError invalid | unsupported with the JSON pointer and value, not-found where there is no bundle
 */
export function readConfig(bundle: string): RuntimeSpec & { readonly root: { readonly path: string } } {
  const path = `${bundle}/config.json`;
  let json: string;
  try {
    json = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new GantryError('not-found', `no ${path}; give the bundle's directory with --bundle`, { cause });
  }
  return parseConfig(json, bundle);
}

/** {@link readConfig} from its text. */
export function parseConfig(json: string, bundle: string): ReturnType<typeof readConfig> {
  let value: unknown;
  try {
    value = JSON.parse(json, withoutNulls);
  } catch (cause) {
    throw new GantryError('invalid', `${bundle}/config.json is no JSON: ${messageOf(cause)}`, { cause });
  }
  config(value, '');
  const spec = value as ReturnType<typeof readConfig>;
  return {
    ...spec,
    ...(spec.process === undefined ? {} : { process: withUser(spec.process) }),
    root: { ...spec.root, path: resolve(bundle, spec.root.path) },
  };
}

/** A process's description, as `exec --process` gives it. @throws GantryError invalid | unsupported */
export function parseProcess(json: string, path: string): Process {
  let value: unknown;
  try {
    value = JSON.parse(json, withoutNulls);
  } catch (cause) {
    throw new GantryError('invalid', `${path} is no JSON: ${messageOf(cause)}`, { cause });
  }
  processRule(value, '/process');
  return withUser(value as Process);
}

/** Root, where nobody is named. */
const withUser = (process: Process): Process => ({ ...process, user: { ...{ uid: 0, gid: 0 }, ...process.user } });
