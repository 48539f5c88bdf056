import { GantryError } from '#errors/index.ts';
import { exactJson, type Integer, type Seccomp, type SeccompAction, type SeccompArg } from '#oci/index.ts';
import { auditArch, type Interface, interfacesOf, type SeccompArch } from './architectures.ts';
import { BackwardAssembler, op, seccompData } from './bpf.ts';

const eperm = 1;
const killProcess = 0x80000000;
const errno = (value: number): number => (0x00050000 | (value & 0xffff)) >>> 0;
const x32Bit = 0x40000000;
/** The kernel's BPF_MAXINSNS. */
const maxInstructions = 4096;

/** One alternative of a syscall: all of its conditions hold → `action`. */
interface Chain {
  readonly conditions: readonly SeccompArg[];
  readonly action: number;
}

/**
 * Compiles a profile to an array of struct sock_filter (runtime-spec: config-linux.md#seccomp). Calls of an architecture
 * that is neither the machine's nor listed kill the process; x32 calls get EPERM unless x32 is listed. Arguments of 32-bit
 * programs are compared by their 32 bits. What they reach through socketcall or ipc has the rules without arguments of the
 * call that it stands for; the others cannot be looked at there. Where a call has several rules, those with arguments are tried
 * first, in order, then the one without. Names this architecture lacks are ignored, as runc does.
 * @throws GantryError invalid for an argument index, operator or action that does not exist.
 */
export function compileSeccomp(
  profile: Seccomp,
  arch: SeccompArch = process.arch === 'arm64' ? 'arm64' : 'x64',
): Buffer {
  const fallback = actionValue(profile.defaultAction, profile.defaultErrnoRet);
  const code = new BackwardAssembler();
  const returns = new Map<number, number>();
  const returnOf = (action: number): number => {
    const known = returns.get(action);
    if (known !== undefined) return known;
    const label = code.emit(op.ret, action);
    returns.set(action, label);
    return label;
  };

  // Bodies first (they end up last): one for each distinct list of rules, shared by the calls that have it.
  const bodies = new Map<string, number>();
  const bodyOf = (chains: readonly Chain[], narrow: boolean): number => {
    const key = `${narrow}${exactJson(chains)}`;
    const known = bodies.get(key);
    if (known !== undefined) return known;
    let next = returnOf(chains.find((chain) => chain.conditions.length === 0)?.action ?? fallback);
    for (const chain of chains.filter(({ conditions }) => conditions.length > 0).reverse()) {
      const miss = next;
      next = returnOf(chain.action);
      for (const condition of chain.conditions.toReversed()) next = emitCondition(code, condition, narrow, next, miss);
    }
    bodies.set(key, next);
    return next;
  };

  const missing = returnOf(fallback);
  /** The calls of one interface, as a tree of ranges; returns the label of its beginning. */
  const callsOf = (of: Interface): number => {
    const ranges: { from: number; label: number }[] = [{ from: 0, label: missing }];
    const put = (from: number, label: number): void => {
      const last = ranges.at(-1);
      if (last?.from === from) ranges.pop();
      if (ranges.at(-1)?.label !== label) ranges.push({ from, label });
    };
    for (const [nr, chains] of [...chainsByNumber(profile, of)].sort(([x], [y]) => x - y)) {
      put(nr, bodyOf(chains, of.narrow));
      put(nr + 1, missing);
    }
    if (of.audit === auditArch.x64 && of.tables.length === 1) put(x32Bit, returnOf(errno(eperm)));

    const tree = (from: number, to: number): number => {
      const middle = (from + to) >> 1;
      const range = ranges[to - from === 1 ? from : middle];
      if (range === undefined) return missing;
      if (to - from === 1) return range.label;
      const high = tree(middle, to);
      const low = tree(from, middle);
      return code.branch(op.jge, range.from, high, low);
    };
    const root = tree(0, ranges.length);
    const start = root === code.length - 1 ? root : code.jump(root);
    // The load falls through to the tree.
    return start === code.length - 1 ? code.emit(op.ldAbs, seccompData.nr) : start;
  };
  const interfaces = interfacesOf(arch, profile.architectures).map((of) => ({ audit: of.audit, calls: callsOf(of) }));
  let next = code.emit(op.ret, killProcess);
  // The machine's own is asked for first.
  for (const { audit, calls } of interfaces.toReversed()) next = code.branch(op.jeq, audit, calls, next);
  code.emit(op.ldAbs, seccompData.arch);
  if (code.length > maxInstructions)
    throw new GantryError(
      'invalid',
      `the seccomp profile needs ${code.length} instructions; the kernel takes ${maxInstructions}: use fewer rules with arguments`,
      { code: 'seccomp-too-long' },
    );
  return code.finish();
}

function chainsByNumber(profile: Seccomp, { tables, through }: Interface): Map<number, Chain[]> {
  const byNumber = new Map<number, Chain[]>();
  for (const rule of profile.syscalls ?? []) {
    const action = actionValue(rule.action, rule.errnoRet);
    const args = rule.args ?? [];
    // As runc: conditions on one and the same argument are alternatives, not a conjunction.
    const repeated = new Set(args.map(({ index }) => index)).size < args.length;
    const chains: Chain[] = repeated
      ? args.map((condition) => ({ conditions: [condition], action }))
      : [{ conditions: args, action }];
    const add = (nr: number, more: readonly Chain[]) => byNumber.set(nr, [...(byNumber.get(nr) ?? []), ...more]);
    for (const name of rule.names) {
      for (const table of tables) {
        const nr = Object.hasOwn(table, name) ? table[name] : undefined;
        if (nr !== undefined) add(nr, chains);
      }
      const selected = Object.hasOwn(through, name) ? through[name] : undefined;
      if (selected === undefined || args.length > 0) continue;
      const [nr, value] = selected;
      add(nr, [{ conditions: [{ index: 0, value, op: 'SCMP_CMP_EQ' }], action }]);
    }
  }
  return byNumber;
}

/** Emits one 64-bit comparison as two 32-bit ones; returns its label. */
function emitCondition(code: BackwardAssembler, given: SeccompArg, narrow: boolean, hit: number, miss: number): number {
  const arg = narrow ? narrowed(given) : given;
  if (!Number.isInteger(arg.index) || arg.index < 0 || arg.index > 5)
    throw new GantryError('invalid', `seccomp argument index ${arg.index} does not exist; use 0 to 5`);
  const [high, low] = halves(arg.value);
  const at = seccompData.argument(arg.index);
  const load = (offset: number): number => code.emit(op.ldAbs, offset);
  const ordered = (last: number, yes: number, no: number): number => {
    code.branch(last, low, yes, no);
    const lower = load(at);
    const equal = code.branch(op.jeq, high, lower, no);
    code.branch(op.jgt, high, yes, equal);
    return load(at + 4);
  };
  switch (arg.op) {
    case 'SCMP_CMP_EQ':
    case 'SCMP_CMP_NE': {
      const [yes, no] = arg.op === 'SCMP_CMP_EQ' ? [hit, miss] : [miss, hit];
      code.branch(op.jeq, low, yes, no);
      const lower = load(at);
      code.branch(op.jeq, high, lower, no);
      return load(at + 4);
    }
    case 'SCMP_CMP_GT':
      return ordered(op.jgt, hit, miss);
    case 'SCMP_CMP_GE':
      return ordered(op.jge, hit, miss);
    case 'SCMP_CMP_LE':
      return ordered(op.jgt, miss, hit);
    case 'SCMP_CMP_LT':
      return ordered(op.jge, miss, hit);
    case 'SCMP_CMP_MASKED_EQ': {
      const [wantHigh, wantLow] = halves(arg.valueTwo ?? 0);
      code.branch(op.jeq, wantLow, hit, miss);
      code.emit(op.and, low);
      const lower = load(at);
      code.branch(op.jeq, wantHigh, lower, miss);
      code.emit(op.and, high);
      return load(at + 4);
    }
    default:
      throw new GantryError(
        'invalid',
        `"${String(arg.op)}" is not a seccomp operator; see runtime-spec config-linux.md`,
      );
  }
}

/** What is left of a condition on an argument of 32 bits. */
const narrowed = ({ value, valueTwo = 0, ...others }: SeccompArg): SeccompArg => ({
  ...others,
  value: BigInt.asUintN(32, BigInt(value)),
  valueTwo: BigInt.asUintN(32, BigInt(valueTwo)),
});

function halves(value: Integer): [number, number] {
  const bits = BigInt.asUintN(64, BigInt(value));
  return [Number(bits >> 32n), Number(bits & 0xffffffffn)];
}

function actionValue(action: SeccompAction, errnoRet: number = eperm): number {
  switch (action) {
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return 0;
    case 'SCMP_ACT_KILL_PROCESS':
      return killProcess;
    case 'SCMP_ACT_TRAP':
      return 0x00030000;
    case 'SCMP_ACT_ERRNO':
      return errno(errnoRet);
    case 'SCMP_ACT_TRACE':
      return (0x7ff00000 | (errnoRet & 0xffff)) >>> 0;
    case 'SCMP_ACT_NOTIFY':
      return 0x7fc00000;
    case 'SCMP_ACT_LOG':
      return 0x7ffc0000;
    case 'SCMP_ACT_ALLOW':
      return 0x7fff0000;
    default:
      throw new GantryError('invalid', `"${String(action)}" is not a seccomp action; see runtime-spec config-linux.md`);
  }
}
