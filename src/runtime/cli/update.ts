import { readFileSync } from 'node:fs';
import { GantryError, messageOf } from '#errors/index.ts';
import { openCgroups } from '#linux/index.ts';
import type { Resources } from '#oci/index.ts';
import type { OptionRules, Parsed } from './arguments.ts';
import { parseResources } from './config.ts';
import { statusOf } from './container-process.ts';
import { directoryOf, readOwnConfig, readState, writeConfig } from './container-state.ts';
import type { Command } from './context.ts';
import { updateRdtGroups } from './intel-rdt.ts';
import { requestedLimits } from './requested-limits.ts';

/** Each option, and the field of the runtime specification's resources that it sets. */
const fields = {
  'blkio-weight': ['blockIO', 'weight'],
  'cpu-period': ['cpu', 'period'],
  'cpu-quota': ['cpu', 'quota'],
  'cpu-burst': ['cpu', 'burst'],
  'cpu-share': ['cpu', 'shares'],
  'cpu-rt-period': ['cpu', 'realtimePeriod'],
  'cpu-rt-runtime': ['cpu', 'realtimeRuntime'],
  'cpu-idle': ['cpu', 'idle'],
  'cpuset-cpus': ['cpu', 'cpus'],
  'cpuset-mems': ['cpu', 'mems'],
  memory: ['memory', 'limit'],
  'memory-reservation': ['memory', 'reservation'],
  'memory-swap': ['memory', 'swap'],
  'pids-limit': ['pids', 'limit'],
} as const;

const bytesOptions: readonly string[] = ['memory', 'memory-reservation', 'memory-swap'];
const textOptions: readonly string[] = ['cpuset-cpus', 'cpuset-mems'];

/** Of the container's class of service (intel-rdt.ts). */
const rdtOptions = { 'l3-cache-schema': 'l3CacheSchema', 'mem-bw-schema': 'memBwSchema' } as const;

/** A whole number; bytes may have a unit, as in 64m or 1g. */
function numberOf(option: string, given: string): number {
  const units = bytesOptions.includes(option) ? /^(-1|\d+)([kmgt]?)b?$/i : /^(-?\d+)()$/;
  const [, digits, unit = ''] = units.exec(given) ?? [];
  const value = Number(digits) * 1024 ** ' kmgt'.indexOf(unit.toLowerCase() || ' ');
  if (digits === undefined || !Number.isSafeInteger(value))
    throw new GantryError('invalid', `--${option} ${given}: give a whole number`);
  return value;
}

function fromOptions(options: Parsed): Resources {
  const given: Record<string, Record<string, number | string>> = {};
  for (const [option, [group, field]] of Object.entries(fields)) {
    const value = options.text(option);
    if (value === undefined) continue;
    given[group] = { ...given[group], [field]: textOptions.includes(option) ? value : numberOf(option, value) };
  }
  // Checked like a file's, so that both are refused alike.
  return parseResources(JSON.stringify(given), 'update');
}

function fromFile(path: string): Resources {
  let json: string;
  try {
    json = readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (cause) {
    throw new GantryError('not-found', `--resources ${path}: ${messageOf(cause)}`, { cause });
  }
  return parseResources(json, `--resources ${path}`);
}

export const update: Command = {
  options: {
    resources: { kind: 'text', short: 'r' },
    ...Object.fromEntries(
      [...Object.keys(fields), ...Object.keys(rdtOptions)].map((name) => [name, { kind: 'text' }] as const),
    ),
  } satisfies OptionRules,
  words: [1, 1],
  usage: `update [--resources FILE|-] ${Object.keys(fields)
    .map((name) => `[--${name} N]`)
    .join(' ')} ID`,
  about: 'change the limits of a container',
  run({ root, id, options }) {
    const state = readState(root, id);
    const status = statusOf(root, state);
    if (status === 'stopped') throw new GantryError('conflict', `container not running: ${id} is stopped`);
    const schemas = Object.entries(rdtOptions).flatMap(([option, field]) => {
      const given = options.text(option);
      return given === undefined ? [] : [[field, given] as const];
    });
    if (schemas.length > 0 && state.rdt === undefined)
      throw new GantryError(
        'conflict',
        `container ${id} has no class of service: its configuration has no linux.intelRdt`,
      );
    if (state.rdt !== undefined && schemas.length > 0) updateRdtGroups(state.rdt, Object.fromEntries(schemas));
    const file = options.text('resources');
    const { devices: _, ...changes } = requestedLimits(file === undefined ? fromOptions(options) : fromFile(file));
    openCgroups().at(state.cgroup).update(changes);
    const directory = directoryOf(root, id);
    const spec = readOwnConfig(directory);
    writeConfig(directory, {
      ...spec,
      linux: { ...spec.linux, resources: merged(spec.linux?.resources ?? {}, changes) },
    });
    return 0;
  },
};

/** What the limits are now, group by group. */
const merged = (before: Resources, changes: Resources): Resources => ({
  ...before,
  ...changes,
  ...(changes.memory === undefined ? {} : { memory: { ...before.memory, ...changes.memory } }),
  ...(changes.cpu === undefined ? {} : { cpu: { ...before.cpu, ...changes.cpu } }),
  ...(changes.unified === undefined ? {} : { unified: { ...before.unified, ...changes.unified } }),
});
