import { GantryError } from '#errors/index.ts';
import type { LinuxConfig, Process, Scheduler } from '#oci/index.ts';
import { ioPriorityClasses, memoryPolicies, personalities, schedulerFlags, schedulerPolicies } from './linux-flags.ts';
import type { PlanStep } from './plan.ts';

/** A flag's number by its name. @throws GantryError invalid, naming field and value */
function named(table: Readonly<Record<string, number>>, name: string, field: string): number {
  const value = Object.hasOwn(table, name) ? table[name] : undefined;
  if (value === undefined)
    throw new GantryError('invalid', `${field} "${name}" is unknown; use one of ${Object.keys(table).join(', ')}`);
  return value;
}

const combined = (table: Readonly<Record<string, number>>, names: readonly string[] = [], field: string): number =>
  names.reduce((all, name) => all | named(table, name, field), 0);

const schedAttrSize = 48;

/** struct sched_attr (sched_setattr(2)). */
function schedulerBytes(scheduler: Scheduler): Buffer {
  const { nice = 0, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler;
  if (nice < -20 || nice > 19)
    throw new GantryError('invalid', `process.scheduler.nice ${nice} is out of range; use -20 to 19`);
  const bytes = Buffer.alloc(schedAttrSize);
  bytes.writeUInt32LE(schedAttrSize, 0);
  bytes.writeUInt32LE(named(schedulerPolicies, scheduler.policy, 'process.scheduler.policy'), 4);
  bytes.writeBigUInt64LE(BigInt(combined(schedulerFlags, scheduler.flags, 'process.scheduler.flags')), 8);
  bytes.writeInt32LE(nice, 16);
  bytes.writeUInt32LE(priority, 20);
  [runtime, deadline, period].forEach((value, index) => {
    bytes.writeBigUInt64LE(BigInt(value), 24 + 8 * index);
  });
  return bytes;
}

/** A list like `0-2,4` as the bits of a mask, whole words of 64. @throws GantryError invalid */
export function maskOf(list: string, field: string): Buffer {
  const numbers: number[] = [];
  for (const part of list.split(',').map((text) => text.trim())) {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? [];
    if (first === undefined || Number(last) < Number(first))
      throw new GantryError('invalid', `${field} "${list}": use a list of numbers and ranges like 0-2,4`);
    for (let number = Number(first); number <= Number(last); number++) numbers.push(number);
  }
  const mask = Buffer.alloc(8 * (1 + (Math.max(...numbers) >> 6)));
  for (const number of numbers) mask.writeUInt8(mask.readUInt8(number >> 3) | (1 << (number & 7)), number >> 3);
  return mask;
}

export const affinitySteps = (list: string | undefined, field: string): readonly PlanStep[] =>
  list === undefined || list === ''
    ? []
    : [{ name: 'affinity', args: [maskOf(list, field)], about: `setting ${field} to ${list}` }];

function memoryPolicySteps(policy: LinuxConfig['memoryPolicy']): readonly PlanStep[] {
  if (policy === undefined) return [];
  const mode = named(memoryPolicies.modes, policy.mode, 'linux.memoryPolicy.mode');
  const flags = combined(memoryPolicies.flags, policy.flags, 'linux.memoryPolicy.flags');
  const nodes = policy.nodes ? maskOf(policy.nodes, 'linux.memoryPolicy.nodes') : Buffer.alloc(0);
  return [{ name: 'memory-policy', args: [mode | flags, nodes], about: `setting the memory policy ${policy.mode}` }];
}

function personalitySteps(personality: LinuxConfig['personality']): readonly PlanStep[] {
  if (personality === undefined) return [];
  const domain = named(personalities.domains, personality.domain, 'linux.personality.domain');
  const flags = combined(personalities.flags, personality.flags, 'linux.personality.flags');
  return [{ name: 'personality', args: [domain | flags], about: `setting the personality ${personality.domain}` }];
}

/** Scheduler, I/O priority, memory policy and personality: what a process is born with and its children inherit. */
export function schedulingSteps(
  { scheduler, ioPriority }: Process,
  { personality, memoryPolicy }: Pick<LinuxConfig, 'personality' | 'memoryPolicy'>,
): readonly PlanStep[] {
  const steps: PlanStep[] = [];
  if (scheduler !== undefined)
    steps.push({
      name: 'scheduler',
      args: [schedulerBytes(scheduler)],
      about: `setting the scheduler to ${scheduler.policy}`,
    });
  if (ioPriority !== undefined) {
    const { priority = 0 } = ioPriority;
    if (priority < 0 || priority > 7)
      throw new GantryError('invalid', `process.ioPriority.priority ${priority} is out of range; use 0 to 7`);
    const value = (named(ioPriorityClasses, ioPriority.class, 'process.ioPriority.class') << 13) | priority;
    steps.push({ name: 'io-priority', args: [value], about: `setting the I/O priority to ${ioPriority.class}` });
  }
  return [...steps, ...memoryPolicySteps(memoryPolicy), ...personalitySteps(personality)];
}
