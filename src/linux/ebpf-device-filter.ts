import { closeSync, constants, openSync } from 'node:fs';
import { compileDeviceProgram, type DeviceRules } from './ebpf-device-program.ts';
import { check, kernel } from './kernel.ts';

const bpfCommand = { load: 5, attach: 8, detach: 9, programById: 13, query: 16 } as const;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_CGROUP_DEVICE = 6;
const BPF_F_ALLOW_MULTI = 2;
/** More programs than a cgroup can have (BPF_CGROUP_MAX_PROGS). */
const MAX_PROGRAMS = 64;

function bpf(command: keyof typeof bpfCommand, attributes: Buffer, about: string): number {
  return check(kernel.call('bpf', bpfCommand[command], attributes, attributes.length), `bpf(${command})`, about);
}

function load(program: Buffer, about: string): number {
  const license = Buffer.from('Apache-2.0\0');
  // union bpf_attr, BPF_PROG_LOAD: type, instruction count, instructions, licence; the rest stays 0
  const attributes = Buffer.alloc(48);
  attributes.writeUInt32LE(BPF_PROG_TYPE_CGROUP_DEVICE, 0);
  attributes.writeUInt32LE(program.length / 8, 4);
  attributes.writeBigUInt64LE(kernel.addressOf(program), 8);
  attributes.writeBigUInt64LE(kernel.addressOf(license), 16);
  return bpf('load', attributes, about);
}

/** The layout of BPF_PROG_ATTACH and BPF_PROG_DETACH; a detach takes no flags. */
function attachment(cgroup: number, program: number, flags: number): Buffer {
  const attributes = Buffer.alloc(16);
  attributes.writeInt32LE(cgroup, 0);
  attributes.writeInt32LE(program, 4);
  attributes.writeUInt32LE(BPF_CGROUP_DEVICE, 8);
  attributes.writeUInt32LE(flags, 12);
  return attributes;
}

function attachedIds(cgroup: number, about: string): readonly number[] {
  const ids = Buffer.alloc(MAX_PROGRAMS * 4);
  const attributes = Buffer.alloc(32);
  attributes.writeInt32LE(cgroup, 0);
  attributes.writeUInt32LE(BPF_CGROUP_DEVICE, 4);
  attributes.writeBigUInt64LE(kernel.addressOf(ids), 16);
  attributes.writeUInt32LE(MAX_PROGRAMS, 24);
  bpf('query', attributes, about);
  return Array.from({ length: attributes.readUInt32LE(24) }, (_, i) => ids.readUInt32LE(i * 4));
}

function programById(id: number, about: string): number {
  const attributes = Buffer.alloc(12);
  attributes.writeUInt32LE(id, 0);
  return bpf('programById', attributes, about);
}

/**
 * Lets the processes of a v2 cgroup use the devices that the rules allow, and only those. The new program is attached
 * before the old ones go, so that at no moment more is allowed than by either. It lives as long as the cgroup.
 * @throws SyscallError EPERM without CAP_BPF and CAP_NET_ADMIN, GantryError invalid for a rule
 */
export function attachDeviceFilter(directory: string, rules: DeviceRules): void {
  const program = load(compileDeviceProgram(rules), `device rules of ${directory}`);
  try {
    const cgroup = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const old = attachedIds(cgroup, directory);
      bpf('attach', attachment(cgroup, program, BPF_F_ALLOW_MULTI), `device rules to ${directory}`);
      for (const id of old) {
        const before = programById(id, directory);
        try {
          bpf('detach', attachment(cgroup, before, 0), `former device rules of ${directory}`);
        } finally {
          closeSync(before);
        }
      }
    } finally {
      closeSync(cgroup);
    }
  } finally {
    closeSync(program);
  }
}
