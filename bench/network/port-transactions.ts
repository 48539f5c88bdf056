// A thousand ports published and withdrawn without anything around it; runs in a network namespace of its own.
import { execFileSync, spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { createNetworks } from '#network/index.ts';
import { until } from '../../e2e/harness/program.ts';
import { type Contender, measure, print } from '../harness/measure.ts';

execFileSync('ip', ['link', 'set', 'lo', 'up']);
const own = readlinkSync('/proc/self/ns/net');
const sleeper = spawn('unshare', ['-n', 'sleep', '600'], { stdio: 'ignore' });
await until(() => (readlinkSync(`/proc/${sleeper.pid}/ns/net`) === own ? undefined : true));
const networks = createNetworks({ db: new DatabaseSync(':memory:') }, { bridge: 'gtbench0' });
await networks.open(new Set());

const contender = (count: number): Contender => ({
  name: `${count} ports`,
  async run() {
    const ports = Array.from({ length: count }, (_, n) => ({
      protocol: 'tcp' as const,
      containerPort: 80,
      hostPort: 20_000 + n,
    }));
    const endpoint = await networks.reserve({ owner: 'bench', ownerName: 'bench', network: 'bridge', ports });
    await networks.connect(endpoint, sleeper.pid ?? 0);
    await networks.release('bench');
  },
  // The link is deleted behind the reply; its name in the other namespace must be free again.
  between: () => until(() => (linkIsGone() ? true : undefined)).then(() => undefined),
});
const linkIsGone = () =>
  !execFileSync('nsenter', ['-t', String(sleeper.pid), '-n', 'ip', '-o', 'link'], { encoding: 'utf8' }).includes(
    'eth0',
  );

const figures = await measure([contender(0), contender(1000)], Number(process.argv[2] ?? 5) * 4);
print('(a) an endpoint set up and released', figures);
const [none, many] = figures;
console.log(`\n1,000 ports set and removed: ${((many?.medianMs ?? 0) - (none?.medianMs ?? 0)).toFixed(1)} ms`);
sleeper.kill('SIGKILL');
await networks[Symbol.asyncDispose]();
