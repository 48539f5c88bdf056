import type { DeviceRule } from '#oci/index.ts';

const character = (major: number, minor?: number): DeviceRule => ({
  allow: true,
  type: 'c',
  major,
  ...(minor === undefined ? {} : { minor }),
  access: 'rwm',
});

/** Nodes may be made; used are those that every container has (runtime-spec: config-linux.md#default-devices). */
const always: readonly DeviceRule[] = [
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  character(1, 3), // null
  character(1, 5), // zero
  character(1, 7), // full
  character(1, 8), // random
  character(1, 9), // urandom
  character(5, 0), // tty
  character(5, 2), // ptmx
  character(136), // pts/*
];

/** A configuration's rules, between a denial of everything and what no container can do without; as runc has them. */
export const deviceRules = (given: readonly DeviceRule[] = []): readonly DeviceRule[] => [
  { allow: false, access: 'rwm' },
  ...given,
  ...always,
];
