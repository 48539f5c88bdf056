import { constants, existsSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import type { Process } from '#oci/index.ts';
import type { PlanStep } from './plan.ts';
import { slots } from './preparation.ts';

/** Security modules that the kernel has switched on. */
export interface SecurityModules {
  readonly apparmor: boolean;
  readonly selinux: boolean;
}

export const noModules: SecurityModules = { apparmor: false, selinux: false };

/** What this host has. */
export const hostModules = (): SecurityModules => ({
  apparmor:
    existsSync('/sys/kernel/security/apparmor/profiles') || existsSync('/sys/module/apparmor/parameters/enabled'),
  selinux: existsSync('/sys/fs/selinux/enforce'),
});

/** @throws GantryError unsupported where the label is given and the module is not there */
export function requireSelinux(label: string | undefined, { selinux }: SecurityModules, field: string): void {
  if (label && !selinux)
    throw new GantryError('unsupported', `${field} "${label}": SELinux is not enabled on this host; leave it out`);
}

/** How a label for exec is written, of the one module that gives it. */
function labelOf({ apparmorProfile, selinuxLabel }: Process, modules: SecurityModules) {
  requireSelinux(selinuxLabel, modules, 'process.selinuxLabel');
  // Where nothing confines, nothing is asked.
  if (apparmorProfile && apparmorProfile !== 'unconfined' && !modules.apparmor)
    throw new GantryError(
      'unsupported',
      `process.apparmorProfile "${apparmorProfile}": AppArmor is not enabled on this host; leave it out`,
    );
  if (selinuxLabel) return { file: '/proc/self/attr/exec', text: selinuxLabel };
  if (apparmorProfile && modules.apparmor)
    return { file: '/proc/self/attr/apparmor/exec', text: `exec ${apparmorProfile}` };
  return undefined;
}

/** [opens the file while the host's /proc is there, writes the label just before exec] @throws GantryError unsupported */
export function labelSteps(
  process: Process,
  modules: SecurityModules,
): readonly [early: readonly PlanStep[], late: readonly PlanStep[]] {
  const label = labelOf(process, modules);
  if (label === undefined) return [[], []];
  const about = `labelling the process ${label.text}`;
  return [
    [{ name: 'open', args: [slots.label, label.file, constants.O_WRONLY], about }],
    [{ name: 'write-slot', args: [slots.label, Buffer.from(label.text)], about }],
  ];
}
