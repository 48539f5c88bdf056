import type { ContainerInspection } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { writeOut } from '../output.ts';

export const command = defineCommand({
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  summary: 'List port mappings or a specific mapping for the container',
  aliases: ['container port', 'port'],
  options: {},
  args: [1, 2],
  async run({ engine }, { args: [name = '', asked] }) {
    const { NetworkSettings } = await engine.json<ContainerInspection>(
      'GET',
      `/containers/${encodeURIComponent(name)}/json`,
    );
    const ports = NetworkSettings.Ports ?? {};
    const shown = (binding: { HostIp: string; HostPort: string }) =>
      `${binding.HostIp.includes(':') ? `[${binding.HostIp}]` : binding.HostIp}:${binding.HostPort}`;
    if (asked === undefined) {
      const lines = Object.entries(ports).flatMap(([port, bindings]) =>
        (bindings ?? []).map((binding) => `${port} -> ${shown(binding)}\n`),
      );
      writeOut(lines.toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)).join(''));
      return 0;
    }
    const wanted = asked.includes('/') ? asked : `${asked}/tcp`;
    if (!/^\d+\/\w+$/.test(wanted)) throw new Failure(`Error: invalid port '${asked}'`, 1);
    const bindings = ports[wanted];
    if (bindings === undefined || bindings === null)
      throw new Failure(`Error: No public port '${asked}' published for ${name}`, 1);
    for (const binding of bindings) writeOut(`${shown(binding)}\n`);
    return 0;
  },
});
