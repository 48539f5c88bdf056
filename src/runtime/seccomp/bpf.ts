/** One classic BPF instruction (linux: struct sock_filter). */
export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

export const op = { ldAbs: 0x20, and: 0x54, ja: 0x05, jeq: 0x15, jgt: 0x25, jge: 0x35, ret: 0x06 } as const;

/** Offsets in struct seccomp_data. */
export const seccompData = { nr: 0, arch: 4, argument: (index: number): number => 16 + 8 * index } as const;

/**
 * Assembles from the last instruction to the first, so that every jump's target is already placed. A label is a place
 * counted from the end. Conditional jumps reach 255 instructions; farther targets get a trampoline.
 */
export class BackwardAssembler {
  readonly #reversed: Instruction[] = [];

  /** Instructions so far. */
  get length(): number {
    return this.#reversed.length;
  }

  emit(code: number, k: number, jt = 0, jf = 0): number {
    return this.#reversed.push({ code, jt, jf, k: k >>> 0 }) - 1;
  }

  /** A conditional jump. Falls into place wherever a label is the next instruction. */
  branch(code: number, k: number, whenTrue: number, whenFalse: number): number {
    let yes = whenTrue;
    let no = whenFalse;
    // A trampoline for one label pushes the other one farther away by one.
    if (this.length - yes - 1 > 254) yes = this.jump(yes);
    if (this.length - no - 1 > 254) no = this.jump(no);
    return this.emit(code, k, this.length - yes - 1, this.length - no - 1);
  }

  jump(label: number): number {
    return this.emit(op.ja, this.length - label - 1);
  }

  /** The program as an array of struct sock_filter. */
  finish(): Buffer {
    const bytes = Buffer.alloc(this.length * 8);
    this.#reversed.toReversed().forEach((instruction, at) => {
      bytes.writeUInt16LE(instruction.code, at * 8);
      bytes.writeUInt8(instruction.jt, at * 8 + 2);
      bytes.writeUInt8(instruction.jf, at * 8 + 3);
      bytes.writeUInt32LE(instruction.k, at * 8 + 4);
    });
    return bytes;
  }
}

/** Runs a filter as the kernel would, for tests and for explaining a refusal. Returns the 32-bit action. */
export function interpretBpf(
  filter: Buffer,
  call: { readonly nr: number; readonly arch: number; readonly args?: readonly (number | bigint)[] },
): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.nr >>> 0, seccompData.nr);
  data.writeUInt32LE(call.arch >>> 0, seccompData.arch);
  (call.args ?? []).forEach((value, index) => {
    data.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), seccompData.argument(index));
  });
  let accumulator = 0;
  for (let pc = 0; pc * 8 < filter.length; pc++) {
    const code = filter.readUInt16LE(pc * 8);
    const jt = filter.readUInt8(pc * 8 + 2);
    const jf = filter.readUInt8(pc * 8 + 3);
    const k = filter.readUInt32LE(pc * 8 + 4);
    switch (code) {
      case op.ldAbs:
        accumulator = data.readUInt32LE(k);
        break;
      case op.and:
        accumulator = (accumulator & k) >>> 0;
        break;
      case op.ja:
        pc += k;
        break;
      case op.jeq:
        pc += accumulator === k ? jt : jf;
        break;
      case op.jgt:
        pc += accumulator > k ? jt : jf;
        break;
      case op.jge:
        pc += accumulator >= k ? jt : jf;
        break;
      case op.ret:
        return k;
      default:
        throw new RangeError(`instruction ${pc} has the unknown code ${code}`);
    }
  }
  throw new RangeError('the filter runs past its end');
}
