import { GantryError } from '#errors/index.ts';
import type { Device, DeviceRule } from '#oci/index.ts';
import type { ContainerOptions } from '../engine.ts';
import { defaultDeviceRules } from './defaults.ts';

/** Devices of the host that a container is given: the nodes, and the rules that let it use them. */
export interface GivenDevices {
  readonly nodes: readonly Device[];
  readonly rules: readonly DeviceRule[];
}

const everything: DeviceRule = { allow: true, access: 'rwm' };

/** `c 42:* rwm` (cgroup-v1/devices.rst). @throws GantryError invalid, naming the rule */
export function deviceRuleOf(text: string): DeviceRule {
  const match = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null)
    throw new GantryError('invalid', `invalid device cgroup rule format: '${text}'; expected e.g. 'c 42:* rwm'`);
  const [, type = 'a', major = '*', minor = '*', access = ''] = match;
  return {
    allow: true,
    type,
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access,
  };
}

/** The whole list in the order that the kernel goes by: denied, the defaults, the devices given, the rules asked for. */
export const deviceRulesOf = (
  options: Pick<ContainerOptions, 'privileged' | 'deviceCgroupRules'>,
  given: GivenDevices | undefined,
): readonly DeviceRule[] =>
  options.privileged
    ? [everything]
    : [...defaultDeviceRules, ...(given?.rules ?? []), ...(options.deviceCgroupRules ?? []).map(deviceRuleOf)];
