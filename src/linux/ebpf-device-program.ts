import { GantryError } from '#errors/index.ts';
import type { CgroupResources } from './cgroups.ts';

export type DeviceRules = NonNullable<CgroupResources['devices']>;

/** Of struct bpf_cgroup_dev_ctx (uapi/linux/bpf.h): access_type = access << 16 | type. */
export const deviceContext = {
  block: 1,
  character: 2,
  mknod: 1,
  read: 2,
  write: 4,
} as const;

const accessBits: Readonly<Record<string, number>> = {
  m: deviceContext.mknod,
  r: deviceContext.read,
  w: deviceContext.write,
};
const ALL_ACCESS = 7;

const op = {
  load32: 0x61, // BPF_LDX | BPF_MEM | BPF_W
  move: 0xb7, // BPF_ALU64 | BPF_MOV | BPF_K
  moveRegister: 0xbf,
  and: 0x57,
  shiftRight: 0x77,
  jump: 0x05,
  jumpIfNotEqual: 0x55,
  jumpIfSet: 0x45,
  exit: 0x95,
} as const;

const register = { result: 0, context: 1, needed: 2, type: 3, major: 4, minor: 5 } as const;

interface Instruction {
  readonly code: number;
  readonly to?: number;
  readonly from?: number;
  readonly offset?: number;
  readonly value?: number;
}

const encode = (instructions: readonly Instruction[]): Buffer => {
  const bytes = Buffer.alloc(instructions.length * 8);
  instructions.forEach(({ code, to = 0, from = 0, offset = 0, value = 0 }, i) => {
    bytes[i * 8] = code;
    bytes[i * 8 + 1] = (from << 4) | to;
    bytes.writeInt16LE(offset, i * 8 + 2);
    bytes.writeInt32LE(value, i * 8 + 4);
  });
  return bytes;
};

const answer = (allow: boolean): readonly Instruction[] => [
  { code: op.move, to: register.result, value: allow ? 1 : 0 },
  { code: op.exit },
];

function ruleAccess(rule: DeviceRules[number]): number {
  const letters = rule.access ?? 'rwm';
  let bits = 0;
  for (const letter of letters) {
    const bit = accessBits[letter];
    if (bit === undefined) throw new GantryError('invalid', `device access ${letters}: only r, w and m are known`);
    bits |= bit;
  }
  return bits;
}

/** The device types a rule speaks of; undefined for both. */
function ruleType(type: string | undefined): number | undefined {
  switch (type) {
    case undefined:
    case '':
    case 'a':
      return undefined;
    case 'c':
    case 'u':
      return deviceContext.character;
    case 'b':
      return deviceContext.block;
    default:
      throw new GantryError('invalid', `device type ${type}: only a, b and c have rules`);
  }
}

const isWildcard = (number: number | undefined) => number === undefined || number < 0;

function ruleInstructions(rule: DeviceRules[number]): readonly Instruction[] {
  const bits = ruleAccess(rule);
  const decide: readonly Instruction[] = rule.allow
    ? [
        { code: op.and, to: register.needed, value: ALL_ACCESS & ~bits },
        { code: op.jumpIfNotEqual, to: register.needed, value: 0, offset: 2 },
        ...answer(true),
      ]
    : [
        { code: op.jumpIfSet, to: register.needed, value: bits, offset: 1 },
        { code: op.jump, offset: 2 },
        ...answer(false),
      ];
  const type = ruleType(rule.type);
  const conditions: Instruction[] = [];
  if (type !== undefined) conditions.push({ code: op.jumpIfNotEqual, to: register.type, value: type });
  if (!isWildcard(rule.major)) conditions.push({ code: op.jumpIfNotEqual, to: register.major, value: rule.major ?? 0 });
  if (!isWildcard(rule.minor)) conditions.push({ code: op.jumpIfNotEqual, to: register.minor, value: rule.minor ?? 0 });
  // Each condition jumps behind the rule.
  const length = conditions.length + decide.length;
  return [...conditions.map((condition, i) => ({ ...condition, offset: length - i - 1 })), ...decide];
}

const isBlanket = (rule: DeviceRules[number]) =>
  ruleType(rule.type) === undefined &&
  isWildcard(rule.major) &&
  isWildcard(rule.minor) &&
  ruleAccess(rule) === ALL_ACCESS;

/**
 * Compiles device rules to a BPF_PROG_TYPE_CGROUP_DEVICE program, as v1's devices controller would decide: rules are
 * written in order and a later one changes what an earlier one said. So the program goes through them from the last to
 * the first, with the accesses still asked for: an allow rule takes those it grants away, and allows when none is left;
 * a deny rule refuses if it names any that is left. What no rule speaks of is allowed.
 */
export function compileDeviceProgram(rules: DeviceRules): Buffer {
  const instructions: Instruction[] = [
    { code: op.load32, to: register.needed, from: register.context, offset: 0 },
    { code: op.moveRegister, to: register.type, from: register.needed },
    { code: op.and, to: register.type, value: 0xffff },
    { code: op.shiftRight, to: register.needed, value: 16 },
    { code: op.load32, to: register.major, from: register.context, offset: 4 },
    { code: op.load32, to: register.minor, from: register.context, offset: 8 },
  ];
  const blanket = rules.findLastIndex(isBlanket);
  for (const rule of rules.slice(blanket + 1).toReversed()) instructions.push(...ruleInstructions(rule));
  instructions.push(...answer(blanket < 0 || rules[blanket]?.allow === true));
  return encode(instructions);
}
