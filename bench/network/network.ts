// What published ports cost and let through, against docker and a bare veth pair. See README.md.
import '../../e2e/network/own-namespace.ts';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kernel, linkNamed, openNetlink, rtnetlink } from '#linux/index.ts';
import { startEngine } from '../../e2e/harness/engine.ts';
import { busyboxRootfs } from '../../e2e/harness/images.ts';
import { until } from '../../e2e/harness/program.ts';
import { type Contender, measure, print } from '../harness/measure.ts';
import { inNamespace, installed, makeNamespace, startDocker } from '../harness/peers.ts';
import { api as callApi } from '../start/engines.ts';

const rounds = Number(process.argv[2] ?? 5);
const seconds = Number(process.argv[3] ?? 3);
const portCount = 100; // docker starts two processes for each
const root = mkdtempSync(join(tmpdir(), 'gantry-bench-'));
const namespace = `gantry-bench-${process.pid}`;

interface Peer {
  readonly name: string;
  readonly socket: string;
  /** The network namespace that it calls its host. */
  readonly host: string | undefined;
}

const ports = (first: number, count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`${first + n}/tcp`, [{ HostPort: String(first + n) }]]));

/** Creates and starts a container that sleeps. */
async function start({ socket }: Peer, PortBindings: object): Promise<{ id: string; pid: number }> {
  const ExposedPorts = Object.fromEntries(Object.keys(PortBindings).map((port) => [port, {}]));
  const body = { Image: 'busybox', Cmd: ['sleep', '600'], ExposedPorts, HostConfig: { PortBindings, Init: true } };
  const { Id } = (await callApi(socket, 'POST', '/containers/create', body)) as { Id: string };
  await callApi(socket, 'POST', `/containers/${Id}/start`);
  const { State } = (await callApi(socket, 'GET', `/containers/${Id}/json`)) as { State: { Pid: number } };
  return { id: Id, pid: State.Pid };
}
const remove = ({ socket }: Peer, id: string) => callApi(socket, 'DELETE', `/containers/${id}?force=1`);

const manyPorts = (peer: Peer): Contender => ({
  name: peer.name,
  run: async () => void (await remove(peer, (await start(peer, ports(20_000, portCount))).id)),
});
const networks = (peer: Peer): Contender => ({
  name: peer.name,
  async run() {
    await callApi(peer.socket, 'POST', '/networks/create', { Name: 'gantry-bench', CheckDuplicate: true });
    await callApi(peer.socket, 'DELETE', '/networks/gantry-bench');
  },
});

/** Gbit/s that a client in the namespace `from` gets through to `address:port`. */
function throughput(from: string | undefined, address: string, port: number): number {
  const [program, args] = inNamespace(from, ['iperf3', '-J', '-c', address, '-p', String(port), '-t', String(seconds)]);
  const { stdout } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  const { end, error } = JSON.parse(stdout) as { end: { sum_received?: { bits_per_second: number } }; error?: string };
  if (end.sum_received === undefined) throw new Error(`iperf3 to ${address}:${port}: ${error}`);
  return end.sum_received.bits_per_second / 1e9;
}

interface Way extends AsyncDisposable {
  readonly name: string;
  once(): number;
}

/** An iperf3 server in the network namespace of a process. */
async function serve(enter: readonly string[]): Promise<Disposable> {
  const server = spawn('nsenter', [...enter, 'iperf3', '-s', '-p', '5201', '--forceflush'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  server.stdout.on('data', (data: Buffer) => {
    said += data.toString();
  });
  await until(() => (said.includes('listening') ? true : undefined));
  return { [Symbol.dispose]: () => void server.kill('SIGKILL') };
}

/** A way by the host's `lo` while that is as the daemon's --large-loopback-packets makes it. */
function withLargeLoopback(way: Way): Way {
  const setLo = (gsoIpv4MaxSize: number) => {
    using socket = openNetlink(kernel, 'route');
    socket.request([rtnetlink.setLink(linkNamed(socket, 'lo').index, { gsoIpv4MaxSize })], 'setting lo');
  };
  return {
    name: `${way.name}, --large-loopback-packets`,
    once() {
      setLo(192 * 1024);
      try {
        return way.once();
      } finally {
        setLo(64 * 1024);
      }
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function publishedWay(peer: Peer): Promise<Way> {
  const { id, pid } = await start(peer, { '5201/tcp': [{ HostPort: '25201' }] });
  const server = await serve(['-t', String(pid), '-n']);
  const { NetworkSettings } = (await callApi(peer.socket, 'GET', `/containers/${id}/json`)) as {
    NetworkSettings: { Networks: { bridge: { Gateway: string } } };
  };
  const address = NetworkSettings.Networks.bridge.Gateway;
  return {
    name: `${peer.name}, published port`,
    once: () => throughput(peer.host, address, 25_201),
    async [Symbol.asyncDispose]() {
      server[Symbol.dispose]();
      await remove(peer, id);
    },
  };
}

/** Two namespaces joined by a veth pair, and nothing else between them. */
async function bareWay(mtu: number): Promise<Way> {
  const [near, far] = [`${namespace}-a`, `${namespace}-b`];
  const stack = new AsyncDisposableStack();
  for (const name of [near, far]) stack.use(makeNamespace(name));
  const ip = (...args: string[]) => execFileSync('ip', args);
  ip('link', 'add', 'gtbench0', 'mtu', String(mtu), 'netns', near, 'type', 'veth', 'peer', 'gtbench1', 'netns', far);
  ip('-n', far, 'link', 'set', 'gtbench1', 'mtu', String(mtu));
  for (const [name, link, address] of [
    [near, 'gtbench0', '10.254.0.1'],
    [far, 'gtbench1', '10.254.0.2'],
  ] as const) {
    ip('-n', name, 'addr', 'add', `${address}/24`, 'dev', link);
    ip('-n', name, 'link', 'set', link, 'up');
  }
  stack.use(await serve([`--net=/run/netns/${far}`]));
  return {
    name: 'bare veth pair',
    once: () => throughput(near, '10.254.0.2', 5201),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function printThroughput(ways: readonly Way[]): void {
  const found = new Map<string, number[]>(ways.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) for (const way of ways) found.get(way.name)?.push(way.once());
  const rows = [...found].map(([name, all]) => {
    const sorted = all.toSorted((a, b) => a - b);
    return { name, best: sorted.at(-1) ?? 0, median: sorted[Math.floor(sorted.length / 2)] ?? 0 };
  });
  console.log('\n### (d) host to container, Gbit/s\n\n| | best | median | of the bare veth |\n|---|--:|--:|--:|');
  for (const { name, best, median } of rows)
    console.log(
      `| ${name} | ${best.toFixed(2)} | ${median.toFixed(2)} | ${(median / (rows[0]?.median ?? 1)).toFixed(2)} |`,
    );
}

async function main(): Promise<void> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(root, { recursive: true, force: true }));
  const alone = fileURLToPath(new URL('./port-transactions.ts', import.meta.url));
  console.log(execFileSync('unshare', ['-n', process.execPath, alone, String(rounds)], { encoding: 'utf8' }).trimEnd());

  const engine = undo.use(await startEngine());
  const peers: Peer[] = [{ name: 'gantry', socket: engine.host.slice('unix://'.length), host: undefined }];
  if (installed('dockerd') !== undefined) {
    undo.use(makeNamespace(namespace));
    const tar = `${root}/busybox.tar`;
    writeFileSync(tar, busyboxRootfs());
    const { env } = undo.use(await startDocker(`${root}/docker`, namespace));
    execFileSync('docker', ['import', tar, 'busybox'], { env, stdio: 'ignore' });
    peers.push({ name: 'docker', socket: `${root}/docker/docker.sock`, host: namespace });
  } else console.error('docker is left out: dockerd is not installed');

  print(
    `(b) a container with ${portCount} published ports: created, started, removed`,
    await measure(peers.map(manyPorts), rounds),
  );
  print('(c) a network created and removed', await measure(peers.map(networks), rounds * 4));
  if (installed('iperf3') === undefined) {
    console.error('(d) is left out: iperf3 is not installed');
    return;
  }
  const link = execFileSync('ip', ['-o', 'link', 'show', engine.bridge], { encoding: 'utf8' });
  const mtu = Number(/ mtu (\d+) /.exec(link)?.[1]);
  const ways: Way[] = [undo.use(await bareWay(mtu))];
  for (const peer of peers) ways.push(undo.use(await publishedWay(peer)));
  if (ways[1] !== undefined) ways.push(withLargeLoopback(ways[1]));
  printThroughput(ways);
}

await main();
