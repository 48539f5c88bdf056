/** Counts for Prometheus (its text exposition format). */
export interface Metrics {
  began(): void;
  ended(method: string, kind: string, status: number, seconds: number): void;
  text(): string;
}

const bounds = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60];
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

export function createMetrics(): Metrics {
  const requests = new Map<string, number>();
  const durations = new Map<string, { readonly counts: number[]; sum: number; count: number }>();
  let open = 0;
  return {
    began: () => void open++,
    ended(method, kind, status, seconds) {
      open--;
      const labels = `method="${methods.has(method) ? method : 'other'}",kind="${kind}",status="${status}"`;
      requests.set(labels, (requests.get(labels) ?? 0) + 1);
      let entry = durations.get(kind);
      if (entry === undefined) {
        entry = { counts: bounds.map(() => 0), sum: 0, count: 0 };
        durations.set(kind, entry);
      }
      const bucket = bounds.findIndex((bound) => seconds <= bound);
      if (bucket >= 0) entry.counts[bucket] = (entry.counts[bucket] ?? 0) + 1;
      entry.sum += seconds;
      entry.count++;
    },
    text() {
      const lines = ['# HELP gantry_hub_requests_total Requests answered.', '# TYPE gantry_hub_requests_total counter'];
      for (const [labels, count] of requests) lines.push(`gantry_hub_requests_total{${labels}} ${count}`);
      lines.push(
        '# HELP gantry_hub_request_seconds How long they took.',
        '# TYPE gantry_hub_request_seconds histogram',
      );
      for (const [kind, { counts, sum, count }] of durations) {
        let below = 0;
        for (const [i, bound] of bounds.entries()) {
          below += counts[i] ?? 0;
          lines.push(`gantry_hub_request_seconds_bucket{kind="${kind}",le="${bound}"} ${below}`);
        }
        lines.push(
          `gantry_hub_request_seconds_bucket{kind="${kind}",le="+Inf"} ${count}`,
          `gantry_hub_request_seconds_sum{kind="${kind}"} ${sum}`,
          `gantry_hub_request_seconds_count{kind="${kind}"} ${count}`,
        );
      }
      const gauges: readonly (readonly [string, string, number])[] = [
        ['gantry_hub_requests_open', 'Requests being answered.', open],
        ['process_resident_memory_bytes', 'Memory of the process.', process.memoryUsage.rss()],
        ['process_start_time_seconds', 'When it began.', Math.round(Date.now() / 1000 - process.uptime())],
      ];
      for (const [name, help, value] of gauges)
        lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name} ${value}`);
      return `${lines.join('\n')}\n`;
    },
  };
}
