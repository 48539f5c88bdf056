// How fast an image is built, against docker's classic builder and buildah. See README.md.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Engine, startEngine } from '../../e2e/harness/engine.ts';
import { busyboxRootfs } from '../../e2e/harness/images.ts';
import { gantryProgram } from '../../e2e/harness/program.ts';
import { able, type Contender, measure, print } from '../harness/measure.ts';
import { inNamespace, installed, makeNamespace, podmanCommand, quietly, startDocker } from '../harness/peers.ts';

const rounds = Number(process.argv[2] ?? 5);
/** Which tables: letters. */
const wanted = process.argv[3] ?? 'abcdef';
const root = mkdtempSync(join(tmpdir(), 'gantry-bench-'));
const namespace = `gantry-bench-${process.pid}`;
const tar = `${root}/busybox.tar`;

/** A program that builds a directory. */
interface Peer {
  readonly name: string;
  build(context: string, ...options: readonly string[]): Promise<void>;
}

const parallel = `FROM busybox AS a
RUN sleep 1 && echo a > /a
FROM busybox AS b
RUN sleep 1 && echo b > /b
FROM busybox
COPY --from=a /a /a
COPY --from=b /b /b
COPY one /one
RUN cat /a /b /one > /all
`;
const twelve = `FROM busybox\n${Array.from({ length: 11 }, (_, i) => (i % 3 === 0 ? `RUN echo ${i} > /f${i}` : i % 3 === 1 ? `ENV V${i}=${i}` : `COPY one /c${i}`)).join('\n')}\n`;
const twenty = `FROM busybox\n${'RUN true\n'.repeat(20)}`;

function contextOf(name: string, Dockerfile: string, files: Readonly<Record<string, string>> = {}): string {
  const directory = `${root}/${name}`;
  mkdirSync(directory, { recursive: true });
  for (const [file, text] of Object.entries({ Dockerfile, ...files })) writeFileSync(`${directory}/${file}`, text);
  return directory;
}

async function main(): Promise<void> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(root, { recursive: true, force: true }));
  writeFileSync(tar, busyboxRootfs());
  undo.use(makeNamespace(namespace));
  const engine = undo.use(await startEngine());
  const all = [gantryPeer(engine), ...(await others(undo))];
  const show = async (title: string, contenders: readonly Contender[]) => {
    if (wanted.includes(title[1] ?? '')) print(title, await measure(await able(contenders), rounds));
  };
  const each = (context: string, options: readonly string[] = [], before?: () => void): readonly Contender[] =>
    all.map(({ name, build }) => ({
      name,
      run: async () => {
        before?.();
        await build(context, ...options);
      },
    }));

  const two = contextOf('parallel', parallel, { one: '1' });
  await show('(a) two stages that sleep 1 s each, three COPYs and a RUN, without cache', each(two, ['--no-cache']));
  await show('(b) the same again, nothing changed', [...each(two), overApi(engine, two)]);
  await show('(c) twelve steps, nothing changed', each(contextOf('twelve', twelve, { one: '1' })));
  const many = contextOf('many', 'FROM busybox\nCOPY . /src\n');
  for (let i = 0; i < 5000; i++) {
    const directory = `${many}/d${i % 50}`;
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${directory}/f${i}`, `${i}`.repeat(100));
  }
  let edits = 0;
  await show(
    '(d) one changed file in a context of 5,000',
    each(many, [], () => writeFileSync(`${many}/d7/f7`, `edit ${edits++}`)),
  );
  await show('(e) 20 × RUN true, without cache', each(contextOf('twenty', twenty), ['--no-cache']));
  if (wanted.includes('f')) await memory(engine);
}

const gantryPeer = (engine: Engine): Peer => ({
  name: 'gantry',
  build: (context, ...options) =>
    quietly(gantryProgram, ['build', '-q', ...options, context], { ...process.env, ...engine.env }),
});

async function others(undo: AsyncDisposableStack): Promise<readonly Peer[]> {
  const found: Peer[] = [];
  if (installed('dockerd')) {
    const docker = undo.use(await startDocker(`${root}/docker`, namespace));
    const env = { ...docker.env, DOCKER_BUILDKIT: '0' };
    await quietly('docker', ['import', tar, 'busybox'], env);
    found.push({
      name: 'docker (classic builder)',
      build: (context, ...options) => quietly('docker', ['build', '-q', ...options, context], env),
    });
  }
  if (installed('buildah')) {
    const { env } = podmanCommand(`${root}/buildah`);
    const place = ['--root', `${root}/buildah/root`, '--runroot', `${root}/buildah/run`];
    undo.defer(() => void spawnSync('umount', ['-l', `${root}/buildah/root/overlay`]));
    const buildah = (args: readonly string[]) =>
      quietly(...inNamespace(namespace, ['buildah', ...place, ...args]), env);
    const policy = ['--signature-policy', `${root}/buildah/policy.json`];
    writeFileSync(`${root}/buildah/Base`, 'FROM scratch\nADD busybox.tar /\n');
    await buildah(['build', '-q', ...policy, '-t', 'busybox', '-f', `${root}/buildah/Base`, root]);
    found.push({
      name: 'buildah',
      build: (context, ...options) =>
        buildah([
          'build',
          '-q',
          '--layers',
          '--jobs=0',
          '--pull=never',
          '--network=none',
          '--ulimit=nofile=1024:1024',
          ...policy,
          ...options,
          context,
        ]),
    });
  }
  return found;
}

/** One call of the API with a context packed before. */
function overApi(engine: Engine, context: string): Contender {
  const packed = spawnSync('tar', ['-C', context, '-c', '.']).stdout;
  return { name: 'gantry over the API', run: () => post(engine, Readable.from([packed]), packed.length) };
}

/** Builds over the API from a tar; without a length it is sent in chunks. */
async function post(engine: Engine, tarred: Readable, length?: number): Promise<void> {
  const socketPath = engine.host.slice('unix://'.length);
  const headers = {
    'content-type': 'application/x-tar',
    ...(length === undefined ? {} : { 'content-length': length }),
  };
  const outgoing = request({ socketPath, method: 'POST', path: '/build?q=1', headers });
  const answered = once(outgoing, 'response');
  const [[response]] = await Promise.all([answered, pipeline(tarred, outgoing)]);
  const text = Buffer.concat(await response.toArray()).toString('utf8');
  if (!/sha256:/.test(text)) throw new Error(text);
}

/** The most that the engine ever held: it only grows, so each row says what its build added to those above. */
async function memory(engine: Engine): Promise<void> {
  const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${engine.pid()}/status`, 'utf8'))?.[1]) / 1024;
  console.log("\n### (f) the engine's peak memory\n\n| after | MB |\n|---|--:|");
  const row = (after: string) => console.log(`| ${after} | ${peak().toFixed(0)} |`);
  row('its start');
  const { build } = gantryPeer(engine);
  for (const mebibytes of [1, 128, 512, 2048]) {
    await build(await withBlob('mounted', 'FROM busybox\nRUN --mount=target=/c stat /c/blob\n', mebibytes));
    row(`${mebibytes} MiB, mounted`);
  }
  const tarring = spawn('tar', ['-C', `${root}/mounted`, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await post(engine, tarring.stdout);
  row('2048 MiB over the API as a tar, mounted');
  for (const mebibytes of [128, 512]) {
    await build(await withBlob('copied', 'FROM busybox\nCOPY blob /\n', mebibytes));
    row(`${mebibytes} MiB, copied into a layer`);
  }
}

/** A context with a file of so many MiB. */
async function withBlob(name: string, dockerfile: string, mebibytes: number): Promise<string> {
  const context = contextOf(name, dockerfile);
  const blob = createWriteStream(`${context}/blob`);
  const piece = Buffer.alloc(1024 * 1024, 'x');
  for (let i = 0; i < mebibytes; i++) if (!blob.write(piece)) await once(blob, 'drain');
  blob.end();
  await once(blob, 'close');
  return context;
}

await main();
