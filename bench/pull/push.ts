// How fast an image that a registry has nothing of goes there, against docker and podman. See README.md.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngine } from '../../e2e/harness/engine.ts';
import { startHub } from '../../e2e/harness/hub.ts';
import { tarOf } from '../../e2e/images/sample-image.ts';
import { type Contender, measure, print } from '../harness/measure.ts';
import { installed, quietly, startDocker } from '../harness/peers.ts';

const rounds = Number(process.argv[2] ?? 5);
const root = mkdtempSync(join(tmpdir(), 'gantry-bench-'));

/** 60 MB that compress to about two thirds, never the same twice. */
async function newTar(): Promise<string> {
  const file = `${root}/new.tar`;
  const text = Buffer.from(randomBytes(15 << 20).toString('hex'));
  writeFileSync(file, await tarOf({ text, noise: randomBytes(30 << 20) }));
  return file;
}

async function main(): Promise<void> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(root, { recursive: true, force: true }));
  const hub = undo.use(await startHub());
  await hub.addUser('ana', 'correct horse');
  const engine = undo.use(await startEngine());
  const image = `${hub.address}/ana/push:bench`;
  const gantry = async (args: string[], input?: string) => {
    const { code, stderr } = await engine.gantry(args, input === undefined ? {} : { input });
    if (code !== 0) throw new Error(`gantry ${args.join(' ')}: ${stderr}`);
  };
  await gantry(['login', hub.address, '-u', 'ana', '--password-stdin'], 'correct horse');
  const contenders: Contender[] = [];
  const add = async (name: string, command: (...args: string[]) => Promise<void>) => {
    const between = async () => command('import', await newTar(), image);
    await between();
    contenders.push({ name, run: () => command('push', image), between });
  };
  await add('gantry push', (...args) => gantry(args));
  if (installed('dockerd')) {
    const docker = undo.use(await startDocker(`${root}/docker`, undefined));
    await quietly('docker', ['login', hub.address, '-u', 'ana', '-p', 'correct horse'], docker.env);
    await add('docker push', (...args) => quietly('docker', args, docker.env));
  }
  print('push of a layer of 60 MB that the registry does not have', await measure(contenders, rounds));
}

await main();
