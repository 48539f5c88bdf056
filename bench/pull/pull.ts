// How fast an image arrives from a hub on loopback, against docker, podman, skopeo and the floor. See README.md.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spreadBelow } from '#linux/index.ts';
import { type Engine, startEngine } from '../../e2e/harness/engine.ts';
import { startHub } from '../../e2e/harness/hub.ts';
import { able, type Contender, measure, print } from '../harness/measure.ts';
import { installed, podmanCommand, quietly, startDocker } from '../harness/peers.ts';
import { subjects } from './subjects.ts';

const [rounds = '3', ...asked] = process.argv.slice(2);
const root = mkdtempSync(join(tmpdir(), 'gantry-bench-'));

const commandOf =
  (engine: Engine) =>
  async (...args: string[]): Promise<void> => {
    const { code, stderr } = await engine.gantry(args);
    if (code !== 0) throw new Error(`gantry ${args.join(' ')}: ${stderr}`);
  };

/** What cannot be saved: the bytes of each layer hashed, decompressed, hashed, and unpacked by GNU tar. */
function floor(layout: string): Contender {
  const { layers } = JSON.parse(
    execFileSync(
      'sh',
      ['-c', `cat "${layout}/blobs/sha256/$(sed 's/.*sha256:\\([0-9a-f]*\\).*/\\1/' "${layout}/index.json")"`],
      {
        encoding: 'utf8',
      },
    ),
  ) as { layers: { digest: string }[] };
  const files = layers.map(({ digest }) => `${layout}/blobs/${digest.replace(':', '/')}`);
  const target = `${root}/spread/floor`;
  mkdirSync(dirname(target), { recursive: true });
  spreadBelow(dirname(target)); // as the engine's own layers are
  const script = files
    .map(
      (file, n) =>
        `mkdir -p ${target}/${n}; tee >(sha256sum >&2) < ${file} | gunzip | tee >(sha256sum >&2) | tar -x -C ${target}/${n}`,
    )
    .join('\n');
  return {
    name: 'floor: sha256sum, gunzip, sha256sum, tar -x',
    run: () => quietly('bash', ['-euc', `set -o pipefail\n${script}`]),
    between: () => quietly('rm', ['-rf', target]),
  };
}

/**
 * What a removal leaves the disk to do (a journal that frees thousands of files, discards) is done before the next pull: it
 * would be the first to make it wait, and a store that is cold has removed nothing.
 */
const settled = ({ between, ...contender }: Contender): Contender => ({
  ...contender,
  async between() {
    await between?.();
    await quietly('sync', ['-f', root]);
  },
});

async function pull(name: string): Promise<void> {
  const subject = subjects[name];
  if (subject === undefined) throw new Error(`no image "${name}"; there are ${Object.keys(subjects).join(', ')}`);
  await using undo = new AsyncDisposableStack();
  const hub = undo.use(await startHub());
  await hub.addUser('ana', 'correct horse');
  const image = `${hub.address}/ana/${name}:bench`;
  const engines = {
    overlay2: undo.use(await startEngine(['--storage-driver', 'overlay2'])),
    erofs: undo.use(await startEngine(['--storage-driver', 'erofs'])),
  };
  const contenders: Contender[] = [];
  for (const [driver, engine] of Object.entries(engines)) {
    const gantry = commandOf(engine);
    await engine.gantry(['login', hub.address, '-u', 'ana', '--password-stdin'], { input: 'correct horse' });
    if (contenders.length === 0) {
      const directory = `${root}/${name}`;
      mkdirSync(directory);
      await subject.make(image, directory, gantry);
      await gantry('push', image);
      await gantry('rmi', image);
      await gantry('builder', 'prune', '-af');
    }
    contenders.push({
      name: `gantry pull, ${driver}`,
      run: () => gantry('pull', image),
      between: () => gantry('rmi', image),
    });
  }
  const layout = `${root}/${name}-oci`;
  const skopeo = ['copy', '--src-tls-verify=false', '--insecure-policy', `docker://${image}`];
  if (installed('skopeo')) {
    await quietly('skopeo', [...skopeo, `oci:${layout}:bench`]);
    contenders.push(floor(layout));
    contenders.push({
      name: 'skopeo copy to a layout (unpacks nothing)',
      run: () => quietly('skopeo', [...skopeo, `oci:${root}/copied:bench`]),
      between: () => quietly('rm', ['-rf', `${root}/copied`]),
    });
  }
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
  print(`pull of ${subject.title}`, await measure(await able(contenders.map(settled)), Number(rounds)));
}

try {
  for (const name of asked.length > 0 ? asked : Object.keys(subjects)) await pull(name);
} finally {
  rmSync(root, { recursive: true, force: true });
}
