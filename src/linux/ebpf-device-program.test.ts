import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isGantryError } from '#errors/index.ts';
import { compileDeviceProgram, type DeviceRules, deviceContext } from './ebpf-device-program.ts';

interface Asked {
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  readonly access: string;
}

/** Runs a program as the kernel would (Documentation/bpf/standardization/instruction-set.rst), for the opcodes in use. */
function allows(program: Buffer, { type, major, minor, access }: Asked): boolean {
  const bits = { m: deviceContext.mknod, r: deviceContext.read, w: deviceContext.write };
  const needed = [...access].reduce((sum, letter) => sum | bits[letter as keyof typeof bits], 0);
  const context = [(needed << 16) | (type === 'b' ? deviceContext.block : deviceContext.character), major, minor];
  const r: number[] = Array.from({ length: 11 }, () => 0);
  for (let pc = 0, steps = 0; ; pc++) {
    assert.ok(++steps < 10_000 && pc * 8 < program.length, 'the program ends');
    const code = program[pc * 8] ?? 0;
    const registers = program[pc * 8 + 1] ?? 0;
    const [to, from] = [registers & 15, registers >> 4];
    const offset = program.readInt16LE(pc * 8 + 2);
    const value = program.readInt32LE(pc * 8 + 4);
    const at = r[to] ?? 0;
    if (code === 0x61) r[to] = context[offset / 4] ?? assert.fail(`reads context at ${offset}`);
    else if (code === 0xb7) r[to] = value;
    else if (code === 0xbf) r[to] = r[from] ?? 0;
    else if (code === 0x57) r[to] = at & value;
    else if (code === 0x77) r[to] = at >>> value;
    else if (code === 0x55) pc += at !== value ? offset : 0;
    else if (code === 0x45) pc += (at & value) !== 0 ? offset : 0;
    else if (code === 0x05) pc += offset;
    else if (code === 0x95) return r[0] === 1;
    else assert.fail(`opcode ${code}`);
  }
}

const check = (rules: DeviceRules) => {
  const program = compileDeviceProgram(rules);
  return (name: string, access: string) => {
    const match = name.match(/^([cb])(\d+):(\d+)$/);
    return allows(program, {
      type: match?.[1] === 'b' ? 'b' : 'c',
      major: Number(match?.[2]),
      minor: Number(match?.[3]),
      access,
    });
  };
};

test('compileDeviceProgram: deny all, then allow some', () => {
  const may = check([
    { allow: false, access: 'rwm' },
    { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
    { allow: true, type: 'c', major: 136, access: 'rw' },
    { allow: true, type: 'b', access: 'm' },
  ]);
  assert.ok(may('c1:3', 'rwm'));
  assert.ok(!may('c1:5', 'r'));
  assert.ok(!may('b1:3', 'r'));
  assert.ok(may('c136:77', 'rw'));
  assert.ok(!may('c136:77', 'rwm'));
  assert.ok(may('b8:0', 'm'));
  assert.ok(!may('b8:0', 'mw'));
});

test('compileDeviceProgram: a later rule wins over an earlier one, access by access', () => {
  const may = check([
    { allow: true },
    { allow: false, type: 'c', major: 1, minor: 5, access: 'w' },
    { allow: false, type: 'c', major: 2 },
    { allow: true, type: 'c', major: 2, minor: 7, access: 'r' },
  ]);
  assert.ok(may('c1:5', 'r'));
  assert.ok(!may('c1:5', 'rw'));
  assert.ok(!may('c2:6', 'r'));
  assert.ok(may('c2:7', 'r'));
  assert.ok(!may('c2:7', 'rw'));
  assert.ok(may('b9:9', 'rwm'));
});

test('compileDeviceProgram: two allow rules add up', () => {
  const may = check([
    { allow: false },
    { allow: true, type: 'c', major: 1, minor: 3, access: 'r' },
    { allow: true, type: 'c', major: 1, access: 'w' },
  ]);
  assert.ok(may('c1:3', 'rw'));
  assert.ok(!may('c1:4', 'rw'));
});

test('compileDeviceProgram: no rules allow everything; everything before a blanket rule is forgotten', () => {
  assert.ok(check([])('b8:0', 'rwm'));
  const program = compileDeviceProgram([
    { allow: true, type: 'b', major: 8 },
    { allow: false, type: 'a' },
  ]);
  assert.deepEqual(program, compileDeviceProgram([{ allow: false }]));
});

test('compileDeviceProgram: refuses unknown access and types', () => {
  for (const rules of [[{ allow: true, access: 'x' }], [{ allow: true, type: 'p' }]])
    assert.throws(
      () => compileDeviceProgram(rules),
      (error) => isGantryError(error, 'invalid'),
    );
});
