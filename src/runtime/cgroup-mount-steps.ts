import type { Mount } from '#oci/index.ts';
import { mountAttr } from './linux-flags.ts';
import { parseMountOptions } from './mount-options.ts';
import { describeMount, filesystemSteps, named } from './mount-steps.ts';
import type { PlanStep } from './plan.ts';

export interface Hierarchy {
  readonly mountpoint: string;
  readonly controllers: string;
  readonly version: 1 | 2;
}

/** The container's view of its cgroups: v2 alone, or a tmpfs with every hierarchy and links for those mounted together. */
export function cgroupMountSteps(mount: Mount, hierarchies: readonly Hierarchy[]): readonly PlanStep[] {
  const { attributes } = parseMountOptions(mount);
  const about = describeMount(mount);
  const one = (h: Hierarchy, destination: string): readonly PlanStep[] => [
    ...filesystemSteps(
      h.version === 2 ? 'cgroup2' : 'cgroup',
      'cgroup',
      h.version === 2 ? [] : h.controllers.split(','),
      attributes.set,
    ),
    { name: 'attach', args: [destination, 0] },
  ];
  const [first] = hierarchies;
  if (first === undefined) return [];
  if (hierarchies.length === 1 && first.version === 2) return named(one(first, mount.destination), about);
  const steps: PlanStep[] = [
    ...filesystemSteps('tmpfs', 'tmpfs', ['mode=755'], attributes.set & ~mountAttr.readOnly),
    { name: 'attach', args: [mount.destination, 0] },
  ];
  for (const h of hierarchies) {
    const name = h.version === 2 ? 'unified' : h.controllers;
    steps.push(...one(h, `${mount.destination}/${name}`));
    const together = h.controllers.split(',');
    if (together.length > 1)
      for (const link of together) steps.push({ name: 'symlink', args: [name, `${mount.destination}/${link}`] });
  }
  if ((attributes.set & mountAttr.readOnly) !== 0)
    steps.push({ name: 'path-attr', args: [mount.destination, 0, mountAttr.readOnly, 0, 0] });
  return named(steps, about);
}
