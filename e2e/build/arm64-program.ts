const svc = 0xd4000001;
const stack = 31;
/** `movz xREGISTER, #value`. */
const move = (register: number, value: number) => 0xd2800000 | (value << 5) | register;
const call = (number: number) => [move(8, number), svc];
/** `add xREGISTER, sp, #value`. */
const onStack = (register: number, value: number) => 0x91000000 | (value << 10) | (stack << 5) | register;

const machine = { offset: 4 * 65, length: 'aarch64'.length }; // utsname(2): the fifth field of 65 bytes
const calls = { openat: 56, write: 64, exit: 93, uname: 160 } as const;
const path = '/made\0';

const code = [
  0xd1080000 | (stack << 5) | stack, // sub sp, sp, #512
  onStack(0, 0),
  ...call(calls.uname),
  move(0, 1),
  onStack(1, machine.offset),
  move(2, machine.length),
  ...call(calls.write),
  0x92800000 | (99 << 5), // x0 = AT_FDCWD
  0, // adr x1, path: below
  move(2, 0o1101), // O_WRONLY | O_CREAT | O_TRUNC
  move(3, 0o644),
  ...call(calls.openat),
  onStack(1, machine.offset),
  move(2, machine.length),
  ...call(calls.write),
  move(0, 0),
  ...call(calls.exit),
];
const adr = code.indexOf(0);
code[adr] = 0x10000000 | (((code.length - adr) * 4) << 3) | 1;

/** A static program for arm64: prints what machine the kernel says it runs on, and writes that to /made. */
export function arm64Program(): Buffer {
  const start = 64 + 56;
  const text = Buffer.alloc(code.length * 4 + path.length);
  for (const [at, word] of code.entries()) text.writeUInt32LE(word >>> 0, at * 4);
  text.write(path, code.length * 4, 'latin1');
  const head = Buffer.alloc(start);
  const base = 0x400000n;
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // elf(5): 64 bits, little-endian
  head.writeUInt16LE(2, 16); // ET_EXEC
  head.writeUInt16LE(183, 18); // EM_AARCH64
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(base + BigInt(start), 24);
  head.writeBigUInt64LE(64n, 32);
  for (const [at, value] of [64, 56, 1].entries()) head.writeUInt16LE(value, 52 + at * 2);
  head.writeUInt32LE(1, 64); // PT_LOAD
  head.writeUInt32LE(5, 68); // to read and execute
  head.writeBigUInt64LE(base, 80);
  head.writeBigUInt64LE(base, 88);
  const size = BigInt(start + text.length);
  head.writeBigUInt64LE(size, 96);
  head.writeBigUInt64LE(size, 104);
  head.writeBigUInt64LE(0x10000n, 112);
  return Buffer.concat([head, text]);
}
