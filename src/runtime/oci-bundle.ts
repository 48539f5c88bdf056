import { mkdirSync, writeFileSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import { exactJson, type Mount, type Process, type RuntimeSpec } from '#oci/index.ts';
import type { CreateTask, TaskStdio } from './container-runtime.ts';
import { cloneFlags, propagation } from './linux-flags.ts';
import { parseMountOptions } from './mount-options.ts';
import { hostMountSteps } from './mount-steps.ts';
import type { PlanStep } from './plan.ts';

const initInside = '/dev/init';

/** Some runtimes refuse a configuration of a later version than they know, whatever it asks for; this one all know. */
const spokenVersion = '1.0.2';

/** A process with the terminal that its stdio asks for. */
export const withTerminal = (process: Process, { terminal, size }: TaskStdio): Process => ({
  ...process,
  terminal,
  ...(size === undefined ? {} : { consoleSize: { height: size.rows, width: size.columns } }),
});

/**
 * An absolute cgroup path as it is; of a relative one a path of one name: the runtime makes it at the root of each hierarchy,
 * and no parent is left behind when it is gone.
 */
export function flatCgroupsPath(spec: RuntimeSpec, id: string): string {
  const path = spec.linux?.cgroupsPath ?? `gantry/${id}`;
  return path.startsWith('/') ? path : `/${path.split('/').filter(Boolean).join('-')}`;
}

function checkMounts(mounts: readonly Mount[], runtime: string): void {
  for (const mount of mounts)
    if (parseMountOptions(mount).propagation === propagation.shared)
      throw new GantryError(
        'unsupported',
        `mount at ${mount.destination}: shared propagation does not reach the host through ${runtime}; use the gantry runtime, or rslave`,
      );
}

/** The steps that mount the root filesystem where the create command sees it, and nobody else. */
export function bundleRootSteps(rootfs: readonly Mount[], directory: string): readonly PlanStep[] {
  const [root, ...more] = rootfs;
  if (root === undefined || more.length > 0)
    throw new GantryError('unsupported', `a root filesystem of ${rootfs.length} mounts needs the gantry runtime`);
  return [
    { name: 'unshare', args: [cloneFlags.mount], about: 'separating the mounts from the host' },
    { name: 'propagation', args: [propagation.slave | propagation.recursive] },
    ...hostMountSteps({ ...root, destination: `${directory}/rootfs` }),
  ];
}

/** Writes the bundle of a task: `config.json` for any OCI runtime, and the empty `rootfs` that its root is mounted on. */
export function writeBundle(request: CreateTask, runtime: string, initPath: string): void {
  const { spec, directory, init } = request;
  if (spec.process === undefined) throw new GantryError('invalid', 'the specification has no process');
  const mounts = spec.mounts ?? [];
  checkMounts(mounts, runtime);
  const process = withTerminal(spec.process, request.stdio);
  const config: RuntimeSpec = {
    ...spec,
    ociVersion: spokenVersion,
    process: init ? { ...process, args: [initInside, ...process.args] } : process,
    root: { ...spec.root, path: `${directory}/rootfs` },
    mounts: init
      ? [
          ...mounts,
          { destination: initInside, type: 'bind', source: initPath, options: ['bind', 'ro', 'nosuid', 'nodev'] },
        ]
      : mounts,
    linux: {
      ...spec.linux,
      // Not in the version that is spoken; without offsets a time namespace changes nothing that a program sees.
      namespaces: (spec.linux?.namespaces ?? []).filter(({ type, path }) => type !== 'time' || path !== undefined),
      cgroupsPath: flatCgroupsPath(spec, request.id),
    },
  };
  mkdirSync(`${directory}/rootfs`, { recursive: true, mode: 0o700 });
  writeFileSync(`${directory}/config.json`, exactJson(config), { mode: 0o600 });
}
