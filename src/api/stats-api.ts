import { readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { ApiDeps } from './deps.ts';
import { flag, type Query } from './query.ts';
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

/** GET /containers/{id}/stats: readings a second apart, each with the one before it (Engine API: ContainerStats). */
export function statsApi(app: FastifyInstance, { containers, onError }: Pick<ApiDeps, 'containers' | 'onError'>): void {
  const read = async (id: string) => {
    const [stats, system] = await Promise.all([containers.stats(id), systemNanoseconds()]);
    return {
      read: new Date().toISOString(),
      cpu: {
        cpu_usage: { total_usage: stats.cpuNanoseconds, usage_in_kernelmode: 0, usage_in_usermode: 0 },
        system_cpu_usage: system,
        online_cpus: cpus().length,
        throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
      },
      memory: { usage: stats.memoryBytes, stats: {}, limit: stats.memoryLimitBytes ?? totalmem() },
      pids: { current: stats.pids, ...(stats.pidsLimit === undefined ? {} : { limit: stats.pidsLimit }) },
    };
  };
  type Reading = Awaited<ReturnType<typeof read>>;
  const none = { read: '0001-01-01T00:00:00Z', cpu: { cpu_usage: { total_usage: 0 }, system_cpu_usage: 0 } };
  const shape = (id: string, name: string, now: Reading, before: Pick<Reading, 'read'> & { cpu: object }) => ({
    id,
    name: `/${name}`,
    read: now.read,
    preread: before.read,
    cpu_stats: now.cpu,
    precpu_stats: before.cpu,
    memory_stats: now.memory,
    pids_stats: now.pids,
    blkio_stats: { io_service_bytes_recursive: null },
    networks: {},
    num_procs: 0,
  });
  app.get<{ Params: { id: string }; Querystring: Query }>('/containers/:id/stats', async ({ params, query }, reply) => {
    const { id, name } = containers.get(params.id);
    const signal = clientSignal(reply);
    let before = await read(id);
    if (!flag(query.stream, true)) {
      if (flag(query['one-shot'])) return shape(id, name, before, none);
      await sleep(1000, undefined, { signal });
      return shape(id, name, await read(id), before);
    }
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'application/json' });
    try {
      await write(reply.raw, `${JSON.stringify(shape(id, name, before, none))}\n`);
      for (;;) {
        await sleep(1000, undefined, { signal });
        const now = await read(id);
        await write(reply.raw, `${JSON.stringify(shape(id, name, now, before))}\n`);
        before = now;
      }
    } catch (error) {
      reply.raw.end(); // the container ended, or the client went
      if (!signal.aborted && containers.get(id).state.status === 'running') onError(error, `stats of ${id}`);
    }
    return reply;
  });
}
