import { GantryError } from '#errors/index.ts';
import type { RuntimeSpec } from '#oci/index.ts';

/** Where a cgroup is made: below the one we are in ourselves, or below each hierarchy's root. */
export interface CgroupPlace {
  readonly path: string;
  readonly below: 'own' | 'root';
}

/** `a-b.slice` lies in `a.slice` (systemd.slice(5)); `-.slice` is the root. */
function sliceDirectories(slice: string): string {
  if (!/^[^/]+\.slice$/.test(slice))
    throw new GantryError(
      'invalid',
      `config.json: /linux/cgroupsPath: "${slice}" is no slice; use a name like a-b.slice`,
    );
  const parts = slice.slice(0, -'.slice'.length).split('-');
  if (slice === '-.slice') return '';
  if (parts.includes(''))
    throw new GantryError('invalid', `config.json: /linux/cgroupsPath: slice "${slice}" has an empty part`);
  return parts.map((_, at) => `/${parts.slice(0, at + 1).join('-')}.slice`).join('');
}

/** `slice:prefix:name` as `--systemd-cgroup` means it: the directory that systemd would make, made without it. */
function systemdPlace(path: string, id: string): CgroupPlace {
  const [slice, prefix, name, ...more] = path === '' ? ['', 'gantry-runtime', id] : path.split(':');
  if (prefix === undefined || name === undefined || name === '' || more.length > 0 || `${prefix}${name}`.includes('/'))
    throw new GantryError(
      'invalid',
      `config.json: /linux/cgroupsPath is "${path}"; with --systemd-cgroup it must be slice:prefix:name`,
    );
  const unit = name.endsWith('.slice') ? name : `${prefix === '' ? '' : `${prefix}-`}${name}.scope`;
  return { path: `${sliceDirectories(slice || 'system.slice')}/${unit}`, below: 'root' };
}

/**
 * Where a container's cgroup is made (runtime-spec: config-linux.md#cgroups-path): a relative path is below our own, as
 * with runc. @throws GantryError invalid
 */
export function cgroupPlace(spec: RuntimeSpec, id: string, systemd: boolean): CgroupPlace {
  const path = spec.linux?.cgroupsPath ?? '';
  if (systemd) return systemdPlace(path, id);
  if (path === '') return { path: `/gantry-runtime-${id}`, below: 'own' };
  return path.startsWith('/') ? { path, below: 'root' } : { path: `/${path}`, below: 'own' };
}
