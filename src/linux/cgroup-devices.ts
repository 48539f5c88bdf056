import { type ControllerDirectory, writeControl } from './cgroup-files.ts';
import type { DeviceRules } from './ebpf-device-program.ts';

export type AttachDeviceFilter = (directory: string, rules: DeviceRules) => void;

/** One rule as the lines of v1's devices.allow and devices.deny: `a`, or `c 1:3 rwm`. */
export function deviceLines(rule: DeviceRules[number]): readonly string[] {
  const number = (value: number | undefined) => (value === undefined || value < 0 ? '*' : String(value));
  const access = rule.access ?? 'rwm';
  const numbers = `${number(rule.major)}:${number(rule.minor)}`;
  if (rule.type !== undefined && rule.type !== '' && rule.type !== 'a')
    return [`${rule.type === 'u' ? 'c' : rule.type} ${numbers} ${access}`];
  // The kernel reads `a` as everything, whatever numbers follow.
  if (numbers === '*:*' && access.length === 3) return ['a'];
  return [`c ${numbers} ${access}`, `b ${numbers} ${access}`];
}

/** Which devices may be opened or made: v1's files, or a program that v2 asks. @throws SyscallError */
export function writeDevices(directory: ControllerDirectory, rules: DeviceRules, attach: AttachDeviceFilter): void {
  if (directory.version === 2) {
    attach(directory.path, rules);
    return;
  }
  for (const rule of rules)
    for (const line of deviceLines(rule))
      writeControl(directory, rule.allow ? 'devices.allow' : 'devices.deny', line, 'devices');
}
