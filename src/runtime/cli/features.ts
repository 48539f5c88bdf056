import { capabilityNumbers, seccompFlags } from '../linux-flags.ts';
import { mountOptionNames } from '../mount-options.ts';
import { type Command, print } from './context.ts';
import { specification, version } from './version.ts';

const names = (prefix: string, list: string): readonly string[] => list.split(' ').map((name) => `${prefix}${name}`);

/** What this runtime can do (runtime-spec: features.md, features-linux.md). */
export const featureReport = () => ({
  ociVersionMin: specification.oldest,
  ociVersionMax: specification.newest,
  hooks: ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'],
  mountOptions: [...mountOptionNames].sort(),
  linux: {
    namespaces: ['cgroup', 'ipc', 'mount', 'network', 'pid', 'uts', 'user', 'time'],
    capabilities: [...capabilityNumbers.keys()],
    cgroup: { v1: true, v2: true, systemd: false, systemdUser: false, rdma: true },
    seccomp: {
      enabled: true,
      actions: names('SCMP_ACT_', 'ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG TRACE TRAP NOTIFY'),
      operators: names('SCMP_CMP_', 'EQ GE GT LE LT MASKED_EQ NE'),
      archs: process.arch === 'arm64' ? ['SCMP_ARCH_AARCH64'] : names('SCMP_ARCH_', 'X86_64 X86 X32'),
      knownFlags: Object.keys(seccompFlags),
      supportedFlags: Object.keys(seccompFlags),
    },
    apparmor: { enabled: true },
    selinux: { enabled: true },
    intelRdt: { enabled: true },
    mountExtensions: { idmap: { enabled: true } },
    netDevices: { enabled: true },
  },
  annotations: { 'gantry.runtime.version': version },
});

export const features: Command = {
  options: {},
  words: [0, 0],
  usage: 'features',
  about: 'print what this runtime can do, as JSON',
  run() {
    print(`${JSON.stringify(featureReport(), undefined, 2)}\n`);
    return 0;
  },
};
