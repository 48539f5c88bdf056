import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerSummary, EngineClient } from '#client/index.ts';
import { isGantryError } from '#errors/index.ts';
import { defineCommand } from '../command.ts';
import { formatRows, type Row } from '../format.ts';
import { flag, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { binarySize, humanSize } from '../units.ts';

/** GET /containers/{id}/stats, one reading. */
interface Reading {
  readonly id: string;
  readonly name: string;
  readonly cpu_stats: Cpu;
  readonly precpu_stats: Cpu;
  readonly memory_stats: {
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: Readonly<Record<string, number>>;
  };
  readonly pids_stats: { readonly current?: number };
  readonly networks?: Readonly<Record<string, { readonly rx_bytes: number; readonly tx_bytes: number }>> | null;
  readonly blkio_stats?: {
    readonly io_service_bytes_recursive?: readonly { readonly op: string; readonly value: number }[] | null;
  } | null;
}

interface Cpu {
  readonly cpu_usage?: { readonly total_usage?: number };
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
}

const headers = {
  ID: 'CONTAINER ID',
  Container: 'CONTAINER',
  Name: 'NAME',
  CPUPerc: 'CPU %',
  MemUsage: 'MEM USAGE / LIMIT',
  MemPerc: 'MEM %',
  NetIO: 'NET I/O',
  BlockIO: 'BLOCK I/O',
  PIDs: 'PIDS',
};

export const command = defineCommand({
  usage: '[OPTIONS] [CONTAINER...]',
  summary: 'Display a live stream of container(s) resource usage statistics',
  aliases: ['container stats', 'stats'],
  options: {
    all: flag('Show all containers (default shows just running)', { short: 'a' }),
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    'no-stream': flag('Disable streaming stats and only pull the first result'),
    'no-trunc': flag('Do not truncate output'),
  },
  args: [0, Number.POSITIVE_INFINITY],
  async run({ engine, config }, { values, args }) {
    for (;;) {
      const names = args.length > 0 ? args : await namesOf(engine, values.all);
      const readings = await Promise.all(names.map((name) => readingOf(engine, name, args.length > 0)));
      const rows = readings.flatMap((reading, at) =>
        reading === undefined ? [] : [rowOf(reading, names[at] ?? '', values['no-trunc'])],
      );
      const columns = ['ID', 'Name', 'CPUPerc', 'MemUsage', 'MemPerc', 'NetIO', 'BlockIO', 'PIDs'];
      const shown = await formatRows(values.format || (config.statsFormat ?? ''), rows, { columns, headers });
      if (values['no-stream']) {
        writeOut(shown);
        return 0;
      }
      writeOut(`\x1b[H${shown.replaceAll('\n', '\x1b[K\n')}\x1b[J`);
      // A reading takes the second that it measures; this only keeps an engine without containers from being asked at once.
      if (names.length === 0) await sleep(500);
    }
  },
});

async function namesOf(engine: EngineClient, all: boolean): Promise<readonly string[]> {
  const containers = await engine.json<readonly ContainerSummary[]>('GET', '/containers/json', {
    query: { all: all || undefined },
  });
  return containers.map(({ Id }) => Id);
}

/** Undefined for one that ended between being listed and being read. */
async function readingOf(engine: EngineClient, name: string, wanted: boolean): Promise<Reading | undefined> {
  try {
    return await engine.json<Reading>('GET', `/containers/${encodeURIComponent(name)}/stats`, {
      query: { stream: false },
    });
  } catch (error) {
    if (!wanted && isGantryError(error, 'not-found')) return undefined;
    throw error;
  }
}

function rowOf(reading: Reading, asked: string, whole: boolean): Row {
  const { cpu_stats: now, precpu_stats: before, memory_stats: memory } = reading;
  const cpu = (now.cpu_usage?.total_usage ?? 0) - (before.cpu_usage?.total_usage ?? 0);
  const system = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  const share = cpu > 0 && system > 0 ? (cpu / system) * (now.online_cpus ?? 1) * 100 : 0;
  // The page cache that can be dropped is not counted, as Docker does not.
  const inactive = memory.stats?.total_inactive_file ?? memory.stats?.inactive_file ?? 0;
  const used = Math.max(0, (memory.usage ?? 0) - inactive);
  const limit = memory.limit ?? 0;
  const networks = Object.values(reading.networks ?? {});
  const sum = (values: readonly number[]) =>
    humanSize(
      values.reduce((a, b) => a + b, 0),
      3,
    );
  const io = reading.blkio_stats?.io_service_bytes_recursive ?? [];
  const moved = (op: string) => sum(io.filter((entry) => entry.op.toLowerCase() === op).map(({ value }) => value));
  return {
    ID: whole ? reading.id : reading.id.slice(0, 12),
    Container: asked,
    Name: reading.name.replace(/^\//, ''),
    CPUPerc: `${share.toFixed(2)}%`,
    MemUsage: `${binarySize(used)} / ${binarySize(limit)}`,
    MemPerc: `${(limit > 0 ? (used / limit) * 100 : 0).toFixed(2)}%`,
    NetIO: `${sum(networks.map((n) => n.rx_bytes))} / ${sum(networks.map((n) => n.tx_bytes))}`,
    BlockIO: `${moved('read')} / ${moved('write')}`,
    PIDs: String(reading.pids_stats.current ?? 0),
  };
}
