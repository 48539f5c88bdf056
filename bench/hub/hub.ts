// The hub against Debian's docker-registry, in one run. See README.md beside it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { gantryProgram, run, startService, stopProcess, until } from '../../e2e/harness/program.ts';

const seconds = Number(process.argv[2] ?? 4);
/** Which comparisons are made; what the hub is measured alone with always is. */
const only = new RegExp(process.argv[3] ?? '');
const registryProgram = '/usr/bin/docker-registry';
for (const program of [registryProgram, '/usr/bin/wrk'])
  if (!existsSync(program)) {
    console.error(`bench/hub needs ${program}; see bench/hub/README.md`);
    process.exit(1);
  }

interface Contender {
  readonly name: string;
  readonly url: string;
  readonly process: ChildProcess;
  readonly headers: Readonly<Record<string, string>>;
}

const root = mkdtempSync(`${tmpdir()}/gantry-bench-hub-`);
const blobOf = (bytes: Buffer<ArrayBuffer>) => ({
  bytes,
  digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
});
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
const name = 'ana/bench';

async function startHub(): Promise<Contender> {
  const { child, line } = await startService([
    ...['hub', 'serve', '--listen', '127.0.0.1:0', '--data-root', `${root}/hub`, '--log-level', 'error'],
  ]);
  const url = /https?:\/\/\S+/.exec(line)?.[0] ?? '';
  await run(gantryProgram, ['hub', 'user', 'add', 'ana', '--password-stdin', '--data-root', `${root}/hub`], {
    input: 'correct horse',
  });
  const authorization = `Basic ${Buffer.from('ana:correct horse').toString('base64')}`;
  return { name: 'gantry hub', url, process: child, headers: { authorization } };
}

async function startRegistry(): Promise<Contender> {
  const port = await new Promise<number>((done) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => done(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
  writeFileSync(
    `${root}/registry.yml`,
    `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${root}/registry}, delete: {enabled: true}}\nhttp: {addr: '127.0.0.1:${port}'}\n`,
  );
  const child = spawn(registryProgram, ['serve', `${root}/registry.yml`], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  await until(() =>
    fetch(`${url}/v2/`).then(
      ({ ok }) => ok || undefined,
      () => undefined,
    ),
  );
  return { name: 'docker-registry', url, process: child, headers: {} };
}

async function push({ url, headers }: Contender, { bytes, digest }: ReturnType<typeof blobOf>): Promise<void> {
  const begun = await fetch(`${url}/v2/${name}/blobs/uploads/`, { method: 'POST', headers });
  await begun.arrayBuffer();
  const location = new URL(begun.headers.get('location') ?? '', url);
  location.searchParams.set('digest', digest);
  // fetch would copy the body twice, which takes as long as a server does with it.
  const done = await new Promise<number>((answered, fail) => {
    request(location, { method: 'PUT', headers: { ...headers, 'content-length': bytes.length } }, (response) => {
      response.resume().once('end', () => answered(response.statusCode ?? 0));
    })
      .once('error', fail)
      .end(bytes);
  });
  if (done !== 201) throw new Error(`push to ${url}: ${done}`);
}

async function pushManifest({ url, headers }: Contender, document: unknown, tag: string): Promise<void> {
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const done = await fetch(`${url}/v2/${name}/manifests/${tag}`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': type },
    body: JSON.stringify(document),
  });
  if (done.status !== 201) throw new Error(`manifest to ${url}: ${done.status} ${await done.text()}`);
}

/** Requests a second. */
function wrk(url: string): number {
  const script = `${root}/wrk.lua`;
  writeFileSync(script, `wrk.headers["Accept"] = "application/vnd.oci.image.manifest.v1+json"\n`);
  const { stdout } = spawnSync('wrk', ['-t1', '-c32', `-d${seconds}s`, '-s', script, url], { encoding: 'utf8' });
  if (/Non-2xx/.test(stdout)) throw new Error(`${url}: ${stdout}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? 0);
}

/** HEAD requests a second over 32 connections, each with one underway; wrk waits for bodies that never come. */
async function heads(url: string, path: string): Promise<number> {
  const { hostname, port, host } = new URL(url);
  const end = performance.now() + seconds * 1000;
  let count = 0;
  const one = () =>
    new Promise<void>((done, fail) => {
      const socket = connect(Number(port), hostname);
      const ask = () => socket.write(`HEAD ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
      socket
        .once('connect', ask)
        .once('error', fail)
        .once('close', () => done());
      socket.on('data', (data: Buffer) => {
        if (data.indexOf('\r\n\r\n') < 0) return;
        if (data.subarray(9, 12).toString() !== '200') return fail(new Error(data.toString()));
        count++;
        if (performance.now() > end) socket.destroy();
        else ask();
      });
    });
  await Promise.all(Array.from({ length: 32 }, one));
  return count / seconds;
}

const download = (url: string): number => {
  const began = performance.now();
  const { status, stderr } = spawnSync('curl', ['-sSf', '-o', '/dev/null', url], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return performance.now() - began;
};

async function concurrently(count: number, width: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await work(next++);
    }),
  );
}

const memoryOf = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1000;
/** The process that listens, below the starter. */
function memoryOfTree(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return Math.max(memoryOf(pid), ...children.map((child) => memoryOfTree(Number(child))));
}

const rows: string[] = [];
const contenders = [await startHub(), await startRegistry()] as const;
try {
  const config = blobOf(Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'));
  const large = blobOf(randomBytes(60_000_000));
  const descriptor = (blob: typeof config, mediaType: string) => ({
    mediaType,
    digest: blob.digest,
    size: blob.bytes.length,
  });
  const document = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor(config, 'application/vnd.oci.image.config.v1+json'),
    layers: [descriptor(large, 'application/vnd.oci.image.layer.v1.tar')],
  };
  for (const contender of contenders) {
    for (const blob of [config, large]) await push(contender, blob);
    await pushManifest(contender, document, 'v1');
  }

  const compare = async (what: string, unit: string, wanted: string, measure: (one: Contender) => Promise<number>) => {
    if (!only.test(what)) return;
    const results = contenders.map(() => [] as number[]);
    for (let round = 0; round < 3; round++)
      for (const [i, contender] of contenders.entries()) results[i]?.push(await measure(contender));
    const [ours = 0, theirs = 0] = results.map(median);
    rows.push(
      `| ${what} | ${ours.toFixed(0)} ${unit} | ${theirs.toFixed(0)} ${unit} | **${(ours / theirs).toFixed(2)}** | ${wanted} |`,
    );
    console.log(rows.at(-1));
  };
  await compare('manifest GET by tag', '/s', '≥ 10', async ({ url }) => wrk(`${url}/v2/${name}/manifests/v1`));
  await compare('blob HEAD', '/s', '≥ 5', ({ url }) => heads(url, `/v2/${name}/blobs/${large.digest}`));
  await compare('blob download, 60 MB', 'MB/s', '≥ 1', async ({ url }) => {
    const times = Array.from({ length: 5 }, () => download(`${url}/v2/${name}/blobs/${large.digest}`));
    return 60_000 / median(times);
  });
  await compare('pushes of 1 MB, 8 at once', 'MB/s', '≥ 1.5', async (contender) => {
    const blobs = Array.from({ length: 60 }, () => blobOf(randomBytes(1_000_000)));
    const began = performance.now();
    await concurrently(blobs.length, 8, (i) => push(contender, blobs[i] ?? config));
    return (blobs.length * 1000) / (performance.now() - began);
  });
  await compare('pushes of 100 MB, 2 at once', 'MB/s', '≥ 1.5', async (contender) => {
    const blobs = [blobOf(randomBytes(100_000_000)), blobOf(randomBytes(100_000_000))];
    const began = performance.now();
    await concurrently(2, 2, (i) => push(contender, blobs[i] ?? config));
    return 200_000 / (performance.now() - began);
  });

  const [hub] = contenders;
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, memoryOfTree(hub.process.pid ?? 0));
  }, 20);
  const began = performance.now();
  await Promise.all(
    Array.from({ length: 1000 }, async () => {
      await (await fetch(`${hub.url}/v2/${name}/manifests/v1`)).arrayBuffer();
      const part = await fetch(`${hub.url}/v2/${name}/blobs/${large.digest}`, { headers: { range: 'bytes=0-999999' } });
      await part.arrayBuffer();
    }),
  );
  clearInterval(watch);
  console.log(
    `1,000 pulls at once (manifest and 1 MB): ${((performance.now() - began) / 1000).toFixed(1)} s, hub's memory at most ${most.toFixed(0)} MB (wanted ≤ 250)`,
  );

  const db = new DatabaseSync(`${root}/hub/hub.db`, { timeout: 5000 });
  db.exec('BEGIN IMMEDIATE');
  const repository = Number(db.prepare('SELECT id FROM repositories WHERE name = ?').get(name)?.id);
  const digest = String(db.prepare('SELECT digest FROM manifests WHERE repository = ?').get(repository)?.digest);
  const tag = db.prepare('INSERT INTO tags (repository, name, digest, updated) VALUES (?, ?, ?, 0)');
  for (let i = 0; i < 100_000; i++) tag.run(repository, `t${String(i).padStart(6, '0')}`, digest);
  db.prepare(
    `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
       INSERT INTO repositories (account, name, private, updated) SELECT 1, 'ana/r' || i, 0, 0 FROM n`,
  ).run();
  db.prepare(
    `INSERT INTO manifests (repository, digest, media_type, size, image_size, pushed)
       SELECT r.id, :digest, 'application/vnd.oci.image.manifest.v1+json', 0, 0, 0 FROM repositories r WHERE r.id <> :id`,
  ).run({ digest, id: repository });
  db.exec('COMMIT');
  db.close();
  for (const [what, path] of [
    ['first page of 100,000 tags', `/v2/${name}/tags/list?n=1000`],
    ['page in the middle of them', `/v2/${name}/tags/list?n=1000&last=t050000`],
    ['page of a catalogue of 10,000', '/v2/_catalog?n=1000'],
  ] as const) {
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const from = performance.now();
      await (await fetch(`${hub.url}${path}`, { headers: hub.headers })).arrayBuffer();
      times.push(performance.now() - from);
    }
    console.log(`${what}: ${median(times).toFixed(1)} ms (wanted ≤ 20)`);
  }
  console.log(`\n| | gantry hub | docker-registry | ratio | wanted |\n|---|---|---|---|---|\n${rows.join('\n')}`);
} finally {
  for (const contender of contenders) await stopProcess(contender.process);
  rmSync(root, { recursive: true, force: true });
}
