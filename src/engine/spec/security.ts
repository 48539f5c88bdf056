import { GantryError } from '#errors/index.ts';
import type { Seccomp } from '#oci/index.ts';
import { defaultSeccompProfile } from '#runtime/index.ts';
import type { ContainerOptions } from '../engine.ts';
import { seccompOfProfile } from './seccomp-profile.ts';

/** What the kernel of this host enforces besides seccomp. */
export interface SecurityModules {
  readonly apparmor: boolean;
  readonly selinux: boolean;
}

export interface Security {
  readonly noNewPrivileges: boolean;
  readonly seccomp?: Seccomp;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
  readonly mountLabel?: string;
}

/** The parts of an SELinux label that `--security-opt label=` changes, and what they are otherwise (container-selinux). */
const labelParts = { user: 'system_u', role: 'system_r', type: 'container_t', level: 's0' } as const;
type LabelPart = keyof typeof labelParts;
const isLabelPart = (name: string): name is LabelPart => Object.hasOwn(labelParts, name);

const wrong = (option: string, why: string) =>
  new GantryError('invalid', `invalid --security-opt ${JSON.stringify(option)}: ${why}`);

function boolean(option: string, value: string): boolean {
  if (value === 'true' || value === '') return true;
  if (value === 'false') return false;
  throw wrong(option, `"${value}" is neither true nor false`);
}

/** `name=value`, or as it was written long ago `name:value`; `no-new-privileges` stands alone too. */
function split(option: string): readonly [name: string, value: string] {
  const match = /^([a-z-]+)(?:[=:](.*))?$/s.exec(option);
  if (match === null) throw wrong(option, 'expected NAME=VALUE');
  return [match[1] ?? '', match[2] ?? ''];
}

/**
 * What `--security-opt` asks: `seccomp=` a profile's JSON, `unconfined` or `builtin`; `no-new-privileges[=true|false]`;
 * `apparmor=` a profile's name or `unconfined`; `label=disable|user:|role:|type:|level:`.
 * @throws GantryError invalid naming the option; unsupported for one that the kernel cannot enforce
 */
export function securityOf(
  options: Pick<ContainerOptions, 'privileged' | 'securityOptions'>,
  capabilities: readonly string[],
  modules: SecurityModules,
): Security {
  let noNewPrivileges = false;
  let profile: string | undefined;
  let apparmor: string | undefined;
  let label: Record<LabelPart, string> | undefined;
  for (const option of options.securityOptions ?? []) {
    const [name, value] = split(option);
    switch (name) {
      case 'no-new-privileges':
        noNewPrivileges = boolean(option, value);
        break;
      case 'seccomp':
        profile = value;
        break;
      case 'apparmor':
        if (value !== 'unconfined' && !modules.apparmor)
          throw new GantryError(
            'unsupported',
            `--security-opt ${option}: this kernel has no AppArmor, so no profile confines anything`,
          );
        apparmor = value;
        break;
      case 'label': {
        if (value === 'disable') {
          label = undefined;
          break;
        }
        const [, part = '', text = ''] = /^(\w+):(.+)$/.exec(value) ?? [];
        if (!isLabelPart(part)) throw wrong(option, `expected disable, or one of user:, role:, type: and level:`);
        if (!modules.selinux)
          throw new GantryError(
            'unsupported',
            `--security-opt ${option}: this kernel has no SELinux to label anything`,
          );
        label = { ...(label ?? labelParts), [part]: text };
        break;
      }
      default:
        throw wrong(option, `known are apparmor, label, no-new-privileges and seccomp`);
    }
  }
  const apparmorProfile = apparmor ?? (options.privileged ? 'unconfined' : undefined);
  const seccomp = seccompOf(profile, options.privileged ?? false, capabilities);
  return {
    noNewPrivileges,
    ...(seccomp === undefined ? {} : { seccomp }),
    ...(apparmorProfile === undefined || !modules.apparmor ? {} : { apparmorProfile }),
    ...(label === undefined
      ? {}
      : {
          selinuxLabel: `${label.user}:${label.role}:${label.type}:${label.level}`,
          mountLabel: `system_u:object_r:container_file_t:${label.level}`,
        }),
  };
}

function seccompOf(
  profile: string | undefined,
  privileged: boolean,
  capabilities: readonly string[],
): Seccomp | undefined {
  if (profile === 'unconfined' || (profile === undefined && privileged)) return undefined;
  if (profile === undefined || profile === 'builtin') return defaultSeccompProfile(capabilities);
  return seccompOfProfile(profile, capabilities);
}
