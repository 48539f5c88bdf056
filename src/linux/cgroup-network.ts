import { GantryError } from '#errors/index.ts';
import { type ControllerDirectory, writeControl } from './cgroup-files.ts';
import type { CgroupResources } from './cgroups.ts';

type Network = NonNullable<CgroupResources['network']>;

/** The directory of one of v1's network controllers; v2 has none. @throws GantryError unsupported */
export type NetworkDirectory = (controller: 'net_cls' | 'net_prio', field: string) => ControllerDirectory;

function checkV1(directory: ControllerDirectory, field: string): ControllerDirectory {
  if (directory.version === 1) return directory;
  throw new GantryError(
    'unsupported',
    `${field}: cgroup v2 marks no packets; use a firewall rule of the cgroup instead`,
  );
}

/** The class of a cgroup's packets and their priority by interface (config-linux.md#network); of v1 alone. */
export function writeNetwork({ classID, priorities = [] }: Network, directoryFor: NetworkDirectory): void {
  const of = (controller: 'net_cls' | 'net_prio', field: string) => checkV1(directoryFor(controller, field), field);
  if (classID !== undefined)
    writeControl(of('net_cls', 'network.classID'), 'net_cls.classid', String(classID), 'network.classID');
  for (const { name, priority } of priorities)
    writeControl(
      of('net_prio', 'network.priorities'),
      'net_prio.ifpriomap',
      `${name} ${priority}`,
      `network.priorities ${name}`,
    );
}
