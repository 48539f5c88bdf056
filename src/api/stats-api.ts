import { readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerStats } from '#engine/index.ts';
import { isGantryError } from '#errors/index.ts';
import type { ApiDeps } from './deps.ts';
import { itemFor, lines, type Operation, type Routes } from './operation.ts';
import { flag, type Query } from './query.ts';
import { statsResponse } from './schema/container.ts';
import { flag as boolean } from './schema/schema.ts';
import { clientSignal, write } from './streams.ts';

/** Nanoseconds that all processors together have spent, from /proc/stat; its unit is a hundredth of a second. */
async function systemNanoseconds(): Promise<number> {
  const [total = ''] = (await readFile('/proc/stat', 'utf8')).split('\n');
  return (
    total
      .split(/\s+/)
      .slice(1, 9)
      .reduce((sum, ticks) => sum + Number(ticks), 0) * 1e7
  );
}

type BlockCounts = ContainerStats['blkio']['ioServiceBytesRecursive'];

const blockShape = (counts: BlockCounts) =>
  counts.map(({ major, minor, op, value }) => ({ major, minor, op: op.toLowerCase(), value }));

const networkShape = ({ received, sent }: ContainerStats['networks'][string]) => ({
  rx_bytes: received.bytes,
  rx_packets: received.packets,
  rx_errors: received.errors,
  rx_dropped: received.dropped,
  tx_bytes: sent.bytes,
  tx_packets: sent.packets,
  tx_errors: sent.errors,
  tx_dropped: sent.dropped,
});

const never = '0001-01-01T00:00:00Z';

/** A container that does not run, and the reading before the first. */
const nothing = {
  read: never,
  cpu: {
    cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
    throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
  },
  rest: { pids_stats: {}, blkio_stats: {}, memory_stats: {} },
};
type Reading = typeof nothing;

/** One reading in the shape of the Engine API's ContainerStatsResponse. */
function readingOf(stats: ContainerStats, system: number): Reading {
  const { cpu, memory, pids, blkio, networks } = stats;
  const names = Object.keys(networks);
  return {
    read: new Date().toISOString(),
    cpu: {
      cpu_usage: {
        total_usage: Number(cpu.usage.total),
        ...(cpu.usage.percpu === undefined ? {} : { percpu_usage: cpu.usage.percpu }),
        usage_in_kernelmode: cpu.usage.kernel,
        usage_in_usermode: cpu.usage.user,
      },
      ...{ system_cpu_usage: system, online_cpus: cpus().length },
      throttling_data: {
        periods: cpu.throttling.periods,
        throttled_periods: cpu.throttling.throttledPeriods,
        throttled_time: cpu.throttling.throttledTime,
      },
    },
    rest: {
      pids_stats: { current: Number(pids.current), ...(pids.limit === undefined ? {} : { limit: Number(pids.limit) }) },
      blkio_stats: {
        io_service_bytes_recursive: blockShape(blkio.ioServiceBytesRecursive),
        io_serviced_recursive: blockShape(blkio.ioServicedRecursive),
        io_queue_recursive: null,
        io_service_time_recursive: null,
        io_wait_time_recursive: null,
        io_merged_recursive: null,
        io_time_recursive: null,
        sectors_recursive: null,
      },
      memory_stats: {
        usage: Number(memory.usage.usage),
        ...(memory.usage.max === undefined ? {} : { max_usage: Number(memory.usage.max) }),
        stats: memory.raw,
        failcnt: Number(memory.usage.failcnt),
        // A limit beyond what the host has is none.
        limit: Math.min(Number(memory.usage.limit), totalmem()),
      },
      ...(names.length === 0
        ? {}
        : { networks: Object.fromEntries(Object.entries(networks).map(([name, n]) => [name, networkShape(n)])) }),
    },
  };
}

const stats: Operation = {
  id: 'ContainerStats',
  method: 'GET',
  path: '/containers/{id}/stats',
  summary: 'What a container takes, every second',
  query: {
    stream: boolean('false: once, after two readings'),
    'one-shot': { ...boolean('With stream=false: one reading, at once'), since: '1.41' },
  },
  answers: { 200: lines(statsResponse) },
};

/** GET /containers/{id}/stats: readings a second apart, each with the one before it (Engine API: ContainerStats). */
export function statsApi(routes: Routes, { containers, onError }: Pick<ApiDeps, 'containers' | 'onError'>): void {
  const read = async (id: string): Promise<Reading> => {
    try {
      const [stats, system] = await Promise.all([containers.stats(id), systemNanoseconds()]);
      return readingOf(stats, system);
    } catch (error) {
      if (isGantryError(error) && error.code === 'not-running') return nothing;
      throw error;
    }
  };
  const shape = (id: string, name: string, now: Reading, before: Reading) => ({
    name: `/${name}`,
    id,
    os_type: 'linux',
    read: now.read,
    preread: before.read,
    num_procs: 0,
    storage_stats: {},
    cpu_stats: now.cpu,
    precpu_stats: before.cpu,
    ...now.rest,
  });
  routes.add<{ Params: { id: string }; Querystring: Query }>(stats, async (request, reply) => {
    const { params, query } = request;
    const line = (value: object) => `${JSON.stringify(itemFor(request, value))}\n`;
    const { id, name } = containers.get(params.id);
    const signal = clientSignal(reply);
    let before = await read(id);
    if (!flag(query.stream, true)) {
      if (flag(query['one-shot']) || before === nothing) return shape(id, name, before, nothing);
      await sleep(1000, undefined, { signal });
      return shape(id, name, await read(id), before);
    }
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'application/json' });
    try {
      await write(reply.raw, line(shape(id, name, before, nothing)));
      for (;;) {
        await sleep(1000, undefined, { signal });
        const now = await read(id);
        await write(reply.raw, line(shape(id, name, now, before)));
        before = now;
      }
    } catch (error) {
      reply.raw.end(); // the container was removed, or the client went
      if (!signal.aborted && !isGantryError(error, 'not-found')) onError(error, `stats of ${id}`);
    }
    return reply;
  });
}
