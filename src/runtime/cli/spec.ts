import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { GantryError } from '#errors/index.ts';
import type { RuntimeSpec } from '#oci/index.ts';
import type { Command } from './context.ts';
import { specification } from './version.ts';

const capabilities = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];

/** A bundle's configuration to begin with: a shell in a read-only root. */
export const exampleSpec: RuntimeSpec = {
  ociVersion: specification.newest,
  process: {
    terminal: true,
    user: { uid: 0, gid: 0 },
    args: ['sh'],
    env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'],
    cwd: '/',
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    noNewPrivileges: true,
  },
  root: { path: 'rootfs', readonly: true },
  hostname: 'gantry',
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
    },
  ],
  linux: {
    resources: { devices: [{ allow: false, access: 'rwm' }] },
    namespaces: [
      { type: 'pid' },
      { type: 'network' },
      { type: 'ipc' },
      { type: 'uts' },
      { type: 'mount' },
      { type: 'cgroup' },
    ],
    maskedPaths: [
      '/proc/acpi',
      '/proc/asound',
      '/proc/kcore',
      '/proc/keys',
      '/proc/latency_stats',
      '/proc/timer_list',
      '/proc/timer_stats',
      '/proc/sched_debug',
      '/sys/firmware',
      '/proc/scsi',
    ],
    readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
  },
};

/**
 * The same for a user who is not root: a user namespace in which the caller is root, no network of its own to configure,
 * the host's /sys, no cgroup to limit.
 */
export function rootlessSpec(uid: number, gid: number): RuntimeSpec {
  const { linux = {}, mounts = [], ...others } = exampleSpec;
  const { resources: _, namespaces = [], ...rest } = linux;
  const ownSys = mounts.find(({ destination }) => destination === '/sys');
  return {
    ...others,
    mounts: mounts
      .filter(({ type }) => type !== 'cgroup')
      .map((mount) => {
        if (mount === ownSys)
          return {
            destination: '/sys',
            type: 'none',
            source: '/sys',
            options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'],
          };
        // The group tty is not mapped.
        return { ...mount, options: (mount.options ?? []).filter((option) => option !== 'gid=5') };
      }),
    linux: {
      ...rest,
      uidMappings: [{ containerID: 0, hostID: uid, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: gid, size: 1 }],
      namespaces: [...namespaces.filter(({ type }) => type !== 'network' && type !== 'cgroup'), { type: 'user' }],
    },
  };
}

export const spec: Command = {
  options: { bundle: { kind: 'text', short: 'b' }, rootless: { kind: 'flag' } },
  words: [0, 0],
  usage: 'spec [--bundle DIR] [--rootless]',
  about: 'write a config.json to begin with',
  run({ options }) {
    const path = `${resolve(options.text('bundle') ?? '.')}/config.json`;
    const content = options.flag('rootless')
      ? rootlessSpec(process.geteuid?.() ?? 0, process.getegid?.() ?? 0)
      : exampleSpec;
    try {
      writeFileSync(path, `${JSON.stringify(content, undefined, 2)}\n`, { flag: 'wx' });
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause;
      throw new GantryError('conflict', `${path} exists already; remove it first`, { cause });
    }
    return 0;
  },
};
