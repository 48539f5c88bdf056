import { release } from 'node:os';
import { GantryError, messageOf } from '#errors/index.ts';
import type { Seccomp, SeccompAction, SeccompArg, SeccompRule } from '#oci/index.ts';

/** Which containers a rule of a profile is for. */
interface Condition {
  readonly arches?: readonly string[] | null;
  readonly caps?: readonly string[] | null;
  /** `4.8`: this kernel or a later one. */
  readonly minKernel?: string;
}

/** A profile as Docker's `--security-opt seccomp=FILE` has it: the specification's, with conditions. */
interface Profile {
  readonly defaultAction?: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[] | null;
  readonly archMap?:
    | readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] | null }[]
    | null;
  readonly flags?: readonly string[] | null;
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly ProfileRule[] | null;
}

interface ProfileRule {
  readonly name?: string;
  readonly names?: readonly string[] | null;
  readonly action?: string;
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArg[] | null;
  readonly includes?: Condition;
  readonly excludes?: Condition;
}

const known = new Set(
  Object.keys({
    defaultAction: 0,
    defaultErrnoRet: 0,
    architectures: 0,
    archMap: 0,
    flags: 0,
    listenerPath: 0,
    listenerMetadata: 0,
    syscalls: 0,
  } satisfies Record<keyof Profile, 0>),
);

const native = process.arch === 'arm64' ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64';
/** Go's name of our architecture, as conditions have it. */
const goArch = process.arch === 'x64' ? 'amd64' : process.arch;

const wrong = (why: string, cause?: unknown) =>
  new GantryError('invalid', `Decoding seccomp profile failed: ${why}`, cause === undefined ? {} : { cause });

function parse(json: string): Profile {
  let profile: unknown;
  try {
    profile = JSON.parse(json);
  } catch (error) {
    throw wrong(messageOf(error), error);
  }
  if (typeof profile !== 'object' || profile === null || Array.isArray(profile)) throw wrong('it is not a JSON object');
  for (const key of Object.keys(profile)) if (!known.has(key)) throw wrong(`unknown field "${key}"`);
  return profile;
}

/** Whether this kernel is `wanted` or later. */
function kernelIs(wanted: string): boolean {
  const [major = 0, minor = 0] = release()
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function isFor({ includes, excludes }: ProfileRule, capabilities: readonly string[]): boolean {
  const arches = (condition: Condition | undefined) => condition?.arches ?? [];
  const caps = (condition: Condition | undefined) => condition?.caps ?? [];
  if (arches(excludes).includes(goArch) || caps(excludes).some((name) => capabilities.includes(name))) return false;
  if (excludes?.minKernel !== undefined && kernelIs(excludes.minKernel)) return false;
  if (arches(includes).length > 0 && !arches(includes).includes(goArch)) return false;
  if (!caps(includes).every((name) => capabilities.includes(name))) return false;
  return includes?.minKernel === undefined || kernelIs(includes.minKernel);
}

function ruleOf(rule: ProfileRule): SeccompRule {
  const { name, names, action, errnoRet, args } = rule;
  if (name !== undefined && names && names.length > 0) throw wrong(`'name' and 'names' cannot both be given (${name})`);
  const all = name === undefined ? (names ?? []) : [name];
  if (all.length === 0) throw wrong('a rule names no call');
  if (action === undefined) throw wrong(`the rule of ${all.join(', ')} has no action`);
  return {
    names: all,
    action: action as SeccompAction, // an unknown one is refused, by name, where the filter is compiled
    ...(errnoRet === undefined ? {} : { errnoRet }),
    ...(args ? { args } : {}),
  };
}

/**
 * A profile's JSON as the specification's seccomp: rules that are for other capabilities, architectures or kernels are left
 * out, `archMap` becomes the list of this architecture. What calls and actions there are is checked where it is compiled.
 * @throws GantryError invalid
 */
export function seccompOfProfile(json: string, capabilities: readonly string[]): Seccomp {
  const profile = parse(json);
  const { defaultAction, architectures, archMap } = profile;
  if (defaultAction === undefined) throw wrong('it has no defaultAction');
  if (architectures && architectures.length > 0 && archMap && archMap.length > 0)
    throw wrong(`'architectures' and 'archMap' cannot both be given`);
  const mapped = archMap?.find(({ architecture }) => architecture === native);
  const all = architectures?.length ? architectures : mapped ? [native, ...(mapped.subArchitectures ?? [])] : undefined;
  return {
    defaultAction: defaultAction as SeccompAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(all === undefined ? {} : { architectures: all }),
    ...(profile.flags ? { flags: profile.flags } : {}),
    ...(profile.listenerPath ? { listenerPath: profile.listenerPath } : {}),
    ...(profile.listenerMetadata ? { listenerMetadata: profile.listenerMetadata } : {}),
    syscalls: (profile.syscalls ?? []).filter((rule) => isFor(rule, capabilities)).map(ruleOf),
  };
}
