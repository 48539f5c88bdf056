import type { ContainerInspection, EngineClient } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { flag } from '../options.ts';
import { writeOut } from '../output.ts';

export const command = defineCommand({
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  summary: 'List port mappings or a specific mapping for the container',
  aliases: ['container port', 'port'],
  options: { reach: flag('Say who reaches each published port (not in Docker)') },
  args: [1, 2],
  async run({ engine }, { values, args: [name = '', asked] }) {
    const { Id, NetworkSettings } = await engine.json<ContainerInspection>(
      'GET',
      `/containers/${encodeURIComponent(name)}/json`,
    );
    const ports = NetworkSettings.Ports ?? {};
    const reach = values.reach
      ? await reachOf(engine, Id, Object.keys(NetworkSettings.Networks ?? {}))
      : new Map<string, string>();
    const shown = (binding: { HostIp: string; HostPort: string }) => {
      const address = `${binding.HostIp.includes(':') ? `[${binding.HostIp}]` : binding.HostIp}:${binding.HostPort}`;
      const from = reach.get(address);
      return from === undefined ? address : `${address} (${from})`;
    };
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

interface NetworkReach {
  readonly Containers: Readonly<Record<string, { readonly Name: string }>>;
  readonly Gantry?: {
    readonly Reach: {
      readonly Containers: readonly {
        readonly Name: string;
        readonly Published: readonly { readonly HostIp: string; readonly HostPort: string; readonly From: string }[];
      }[];
    };
  };
}

/** Who reaches each published port, by its address, as the engine's networks tell. */
async function reachOf(
  engine: EngineClient,
  id: string,
  networks: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const reach = new Map<string, string>();
  for (const network of networks) {
    const { Containers, Gantry } = await engine.json<NetworkReach>('GET', `/networks/${encodeURIComponent(network)}`);
    const own = Gantry?.Reach.Containers.find(({ Name }) => Name === Containers[id]?.Name);
    for (const { HostIp, HostPort, From } of own?.Published ?? [])
      reach.set(`${HostIp.includes(':') ? `[${HostIp}]` : HostIp}:${HostPort}`, From);
  }
  return reach;
}
