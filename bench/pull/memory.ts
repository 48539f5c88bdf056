// How much memory the daemon takes while it pulls a layer of 2 GB. See README.md.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { encodeTarHeader, endOfArchive } from '#tar/index.ts';
import { startEngine } from '../../e2e/harness/engine.ts';

const megabytes = 2048;
const drivers = process.argv.length > 2 ? process.argv.slice(2) : ['overlay2', 'erofs'];

/** A gzip of members: the header, one megabyte again and again, the end. */
const block = randomBytes(1 << 20);
const header = encodeTarHeader({ name: 'large', type: 'file', size: megabytes * 2 ** 20 });
const pieces = [
  gzipSync(header),
  ...Array<Buffer>(megabytes).fill(gzipSync(block, { level: 1 })),
  gzipSync(endOfArchive),
];
const digestOf = (parts: Iterable<Uint8Array>): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return `sha256:${hash.digest('hex')}`;
};
const layer = digestOf(pieces);
const diffId = digestOf([header, ...Array<Buffer>(megabytes).fill(block), endOfArchive]);
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const config = Buffer.from(
  JSON.stringify({ architecture, os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [diffId] } }),
);
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf([config]), size: config.length },
  layers: [
    {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: layer,
      size: pieces.reduce((sum, { length }) => sum + length, 0),
    },
  ],
});

await using server = createServer(async ({ url = '' }, response) => {
  if (url.includes('/manifests/'))
    response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' }).end(manifest);
  else if (url.includes(layer)) {
    for (const piece of pieces) if (!response.write(piece)) await once(response, 'drain');
    response.end();
  } else if (url.includes('/blobs/')) response.end(config);
  else response.end();
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const image = `127.0.0.1:${(server.address() as AddressInfo).port}/large`;

const memory = (pid: number, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

console.log('\n### memory of the daemon, with its worker threads, while it pulls 2 GB (MiB)\n');
console.log('| | before | peak | seconds |\n|---|--:|--:|--:|');
for (const driver of drivers) {
  await using engine = await startEngine(['--storage-driver', driver]);
  const before = memory(engine.pid(), 'VmRSS');
  const began = performance.now();
  const { code, stderr } = await engine.gantry(['pull', image]);
  if (code !== 0) throw new Error(stderr);
  const seconds = (performance.now() - began) / 1000;
  const peak = memory(engine.pid(), 'VmHWM');
  console.log(`| ${driver} | ${before.toFixed(0)} | ${peak.toFixed(0)} | ${seconds.toFixed(1)} |`);
}
