import { mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { GantryError, messageOf } from '#errors/index.ts';
import { mountPointOf } from '#linux/index.ts';
import type { LinuxConfig } from '#oci/index.ts';

type IntelRdt = NonNullable<LinuxConfig['intelRdt']>;

/** A container's places in a resctrl file system (kernel: Documentation/filesystems/resctrl.rst). */
export interface RdtGroups {
  /** Directories whose `tasks` its processes join, in this order: its class of service, and what is counted apart in it. */
  readonly join: readonly string[];
  /** Those that were made for it, the inner ones first: they go with it. */
  readonly made: readonly string[];
}

const own = ['info', 'mon_data', 'mon_groups'];
const hasCode = (error: unknown, code: string) => error instanceof Error && 'code' in error && error.code === code;

/** Where resctrl is mounted. @throws GantryError unsupported */
export function resctrlRoot(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): string {
  const found = mountPointOf(mountinfo, 'resctrl');
  if (found !== undefined) return found;
  throw new GantryError(
    'unsupported',
    'linux.intelRdt: no resctrl file system is mounted; mount one (mount -t resctrl resctrl /sys/fs/resctrl) where the processor has cache or bandwidth allocation, or leave it out',
  );
}

/** The class's directory: the root's is / or . (runtime-spec 1.3). @throws GantryError invalid */
function classOf(root: string, closID: string): string {
  if (closID === '/' || closID === '.') return root;
  if (closID === '..' || /[/\n]/.test(closID) || own.includes(closID))
    throw new GantryError('invalid', `linux.intelRdt.closID is ${JSON.stringify(closID)}; it must be one name, or /`);
  return `${root}/${closID}`;
}

const linesOf = (text = ''): readonly string[] => text.split('\n').filter((line) => line !== '');

/** What is asked for, a line for each resource. Bandwidth given apart takes the place of that among the cache's lines. */
function schemataOf({ l3CacheSchema, memBwSchema, schemata = [] }: IntelRdt): readonly string[] {
  const cache = linesOf(l3CacheSchema);
  return [
    ...(memBwSchema ? cache.filter((line) => !line.startsWith('MB:')) : cache),
    ...linesOf(memBwSchema),
    ...schemata.flatMap(linesOf),
  ];
}

/** `L3:0=07f;1=f` as [L3, domain, value] each; the kernel pads what it shows. */
const settingsOf = (line: string): readonly string[] => {
  const [name = '', domains = ''] = line.trim().split(/:(.*)/s);
  return domains.split(';').map(
    (one) =>
      `${name.trim()}:${one
        .replace(/\s/g, '')
        .replace(/=0+(?=.)/, '=')
        .toLowerCase()}`,
  );
};

/** @throws GantryError conflict naming the line that a class of somebody else's has otherwise */
function compareSchemata(directory: string, lines: readonly string[]): void {
  const there = new Set(readFileSync(`${directory}/schemata`, 'utf8').split('\n').flatMap(settingsOf));
  for (const line of lines)
    if (settingsOf(line).some((setting) => !there.has(setting)))
      throw new GantryError(
        'conflict',
        `linux.intelRdt: the class ${directory} exists and has another schema than ${line}; ask for the one it has, or for another closID`,
      );
}

/** @throws GantryError invalid with the kernel's own reason */
function writeSchemata(root: string, directory: string, lines: readonly string[]): void {
  for (const line of lines)
    try {
      writeFileSync(`${directory}/schemata`, `${line}\n`, { flag: 'a' });
    } catch (cause) {
      const reason = readFileSync(`${root}/info/last_cmd_status`, 'utf8').trim();
      throw new GantryError('invalid', `linux.intelRdt: ${line}: ${reason || messageOf(cause)}`, { cause });
    }
}

/**
 * The container's class of service, made where it is not there yet, and its monitoring group
 * (runtime-spec: config-linux.md#intelrdt).
 * @throws GantryError unsupported, invalid, conflict; nothing that was made stays
 */
export function makeRdtGroups(rdt: IntelRdt, id: string, root = resctrlRoot()): RdtGroups {
  const directory = classOf(root, rdt.closID || id);
  const lines = schemataOf(rdt);
  const made: string[] = [];
  const make = (path: string): boolean => {
    try {
      mkdirSync(path);
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      if (hasCode(error, 'ENOSPC'))
        throw new GantryError('exhausted', `linux.intelRdt: the processor has no class or counter left for ${path}`);
      throw error;
    }
    made.unshift(path);
    return true;
  };
  try {
    // A class that is named without a schema is one that somebody made for it.
    if (rdt.closID && lines.length === 0) {
      if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory())
        throw new GantryError(
          'not-found',
          `linux.intelRdt.closID: there is no class ${directory}; make it, or give a schema`,
        );
    } else if (directory !== root && make(directory)) writeSchemata(root, directory, lines);
    else compareSchemata(directory, lines);
    const join = [directory];
    if (rdt.enableMonitoring) {
      const group = `${directory}/mon_groups/${id}`;
      if (!make(group))
        throw new GantryError('conflict', `linux.intelRdt: the monitoring group ${group} exists already`);
      join.push(group);
    }
    return { join, made };
  } catch (error) {
    removeRdtGroups({ made });
    throw error;
  }
}

/** New lines for a class that was made for the container. @throws GantryError conflict where it has none of its own */
export function updateRdtGroups({ join, made }: RdtGroups, rdt: IntelRdt, root = resctrlRoot()): void {
  const [directory = ''] = join;
  if (!made.includes(directory))
    throw new GantryError('conflict', `the class ${directory} was not made for this container; it is others' too`);
  writeSchemata(root, directory, schemataOf(rdt));
}

/** Removes what was made; what is gone is fine. */
export function removeRdtGroups({ made }: Pick<RdtGroups, 'made'>): void {
  for (const directory of made)
    try {
      rmdirSync(directory);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
}
