// How fast an image arrives from a hub on loopback, against docker and podman. See README.md.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngine } from '../../e2e/harness/engine.ts';
import { startHub } from '../../e2e/harness/hub.ts';
import { cacheDirectory } from '../../e2e/harness/images.ts';
import { debianBase } from '../../scripts/debian-base.ts';
import { type Contender, measure, print } from '../harness/measure.ts';
import { installed, podmanCommand, quietly, startDocker } from '../harness/peers.ts';

const rounds = Number(process.argv[2] ?? 5);
const root = mkdtempSync(join(tmpdir(), 'gantry-bench-'));

async function main(): Promise<void> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(root, { recursive: true, force: true }));
  const base = await debianBase(cacheDirectory);
  const hub = undo.use(await startHub());
  await hub.addUser('ana', 'correct horse');
  const engine = undo.use(await startEngine());
  const image = `${hub.address}/ana/debian:bench`;
  const gantry = async (args: string[], input?: string) => {
    const { code, stderr } = await engine.gantry(args, input === undefined ? {} : { input });
    if (code !== 0) throw new Error(`gantry ${args.join(' ')}: ${stderr}`);
  };
  await gantry(['login', hub.address, '-u', 'ana', '--password-stdin'], 'correct horse');
  await gantry(['import', base, image]);
  await gantry(['push', image]);
  await gantry(['rmi', image]);
  const contenders: Contender[] = [
    { name: 'gantry pull', run: () => gantry(['pull', image]), between: () => gantry(['rmi', image]) },
  ];
  if (installed('dockerd')) {
    const docker = undo.use(await startDocker(`${root}/docker`, undefined));
    contenders.push({
      name: 'docker pull',
      run: () => quietly('docker', ['pull', image], docker.env),
      between: () => quietly('docker', ['rmi', image], docker.env),
    });
  }
  if (installed('podman')) {
    const { args, env } = podmanCommand(`${root}/podman`);
    const [program = '', ...first] = args;
    const policy = `${root}/podman/policy.json`;
    writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
    contenders.push({
      name: 'podman pull',
      run: () => quietly(program, [...first, 'pull', '--tls-verify=false', '--signature-policy', policy, image], env),
      between: () => quietly(program, [...first, 'rmi', image], env),
    });
  }
  print('pull of a Debian base image from a hub on loopback', await measure(contenders, rounds));
}

await main();
