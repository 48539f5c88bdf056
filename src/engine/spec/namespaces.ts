import { existsSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import type { LinuxConfig, NamespaceType } from '#oci/index.ts';
import type { NamespaceModes } from '../engine.ts';

/** The namespace each mode is about, its name in messages, and what it may be besides absent. */
const modes: readonly {
  readonly mode: keyof NamespaceModes;
  readonly type: NamespaceType;
  readonly title: string;
  readonly words: readonly string[];
}[] = [
  { mode: 'pidMode', type: 'pid', title: 'PID', words: ['private', 'host'] },
  { mode: 'ipcMode', type: 'ipc', title: 'IPC', words: ['none', 'private', 'shareable', 'host'] },
  { mode: 'utsMode', type: 'uts', title: 'UTS', words: ['private', 'host'] },
  { mode: 'cgroupMode', type: 'cgroup', title: 'cgroup namespace', words: ['private', 'host'] },
];

/** The container whose namespace is joined by `container:NAME`. */
export const containerOfMode = (mode: string | undefined): string | undefined =>
  /^container:(.+)$/.exec(mode ?? '')?.[1];

/** What cannot be shared with the host, or with another container, by one whose root is not the host's. */
function checkUserMode(options: Modes & { readonly privileged?: boolean }): void {
  if (options.userMode === undefined || options.userMode === 'host') return;
  if (options.privileged)
    throw new GantryError(
      'invalid',
      'privileged mode is incompatible with user namespaces. You must run the container in the host namespace when running privileged mode (--userns=host)',
    );
  for (const { type, title } of allModes)
    if (!isOwn(type, options))
      throw new GantryError(
        'invalid',
        `cannot share the ${modeOf(type, options)} ${title} namespace when user namespaces are enabled (--userns=${options.userMode})`,
      );
}

/** @throws GantryError invalid, in Docker's words, naming the mode */
export function checkModes(options: Modes & { readonly privileged?: boolean }): void {
  for (const { mode, title, words } of modes) {
    const asked = options[mode];
    if (asked !== undefined && !words.includes(asked) && containerOfMode(asked) === undefined)
      throw new GantryError(
        'invalid',
        `invalid ${title} mode: ${asked}; expected ${words.join(', ')} or container:NAME`,
      );
  }
  checkUserMode(options);
}

/** The namespaces a container may have, in the order that they are made or joined. */
export const namespaceTypes: readonly NamespaceType[] = ['mount', 'pid', 'ipc', 'uts', 'cgroup', 'network', 'time'];

let timeNamespaces: boolean | undefined;

/** Whether this kernel has time namespaces (CONFIG_TIME_NS). */
function hasTimeNamespaces(): boolean {
  timeNamespaces ??= existsSync('/proc/self/ns/time');
  return timeNamespaces;
}

type Modes = NamespaceModes & { readonly networkMode?: string };

/** The namespace that each mode is about. */
const allModes = [...modes, { mode: 'networkMode', type: 'network', title: 'network' } as const];

/** The namespaces of other containers that this one joins, each with the container's name. */
export const joinedContainers = (
  options: Modes,
): readonly { readonly type: NamespaceType; readonly title: string; readonly container: string }[] =>
  allModes.flatMap(({ mode, type, title }) => {
    const container = containerOfMode(options[mode]);
    return container === undefined ? [] : [{ type, title, container }];
  });

const modeOf = (type: NamespaceType, options: Modes): string | undefined => {
  const row = allModes.find((candidate) => candidate.type === type);
  return row === undefined ? undefined : options[row.mode];
};

/** Whether somebody said which namespace of this type it is to be. */
export const isAsked = (type: NamespaceType, options: Modes): boolean => modeOf(type, options) !== undefined;

/** Whether the container has this namespace to itself, to set up as it is asked. */
export const isOwn = (type: NamespaceType, options: Modes): boolean => {
  const mode = modeOf(type, options);
  return mode !== 'host' && containerOfMode(mode) === undefined;
};

/** The specification's namespaces: new ones, and those joined by path; the host's are left out. */
export function namespacesOf(
  options: Modes,
  joined: Readonly<Partial<Record<NamespaceType, string>>>,
): NonNullable<LinuxConfig['namespaces']> {
  return namespaceTypes.flatMap((type): NonNullable<LinuxConfig['namespaces']> => {
    const path = joined[type];
    if (path !== undefined) return [{ type, path }];
    if (type === 'time' && !hasTimeNamespaces()) return [];
    return type === 'mount' || isOwn(type, options) ? [{ type }] : [];
  });
}

const ipcSysctl = /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)$/;

/** @throws GantryError invalid for a sysctl that would change the host or another container, naming it */
export function checkSysctls(sysctls: Readonly<Record<string, string>>, options: Modes): void {
  for (const name of Object.keys(sysctls)) {
    const type = name.startsWith('net.') ? 'network' : ipcSysctl.test(name) ? 'ipc' : undefined;
    if (type === undefined && !(name === 'kernel.domainname' && isOwn('uts', options)))
      throw new GantryError(
        'invalid',
        `sysctl '${name}' is not allowed: it is none of a namespace (net.*, fs.mqueue.*, kernel.msg*, kernel.sem, kernel.shm*)`,
      );
    if (type !== undefined && !isOwn(type, options))
      throw new GantryError(
        'invalid',
        `sysctl '${name}' is not allowed with this ${type} mode: the ${type} namespace is not the container's own`,
      );
  }
}
