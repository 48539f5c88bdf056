import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { type Hub, startHub } from '../harness/hub.ts';
import { contextFolder, type Files } from './context-folder.ts';

interface Manifest {
  readonly mediaType: string;
  readonly manifests: readonly {
    readonly digest: string;
    readonly platform: { readonly architecture: string };
    readonly annotations?: Record<string, string>;
  }[];
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly annotations: Record<string, string> }[];
}

interface Statement {
  readonly _type: string;
  readonly subject: readonly { readonly digest: { readonly sha256: string } }[];
  readonly predicateType: string;
  readonly predicate: {
    readonly packages: readonly {
      readonly name: string;
      readonly externalRefs?: readonly { readonly referenceLocator: string }[];
    }[];
    readonly buildDefinition: { readonly resolvedDependencies: readonly { readonly uri: string }[] };
  };
}

const native = process.arch === 'arm64' ? 'arm64' : 'amd64';
const other = native === 'arm64' ? 'riscv64' : 'arm64';
const both = `linux/${other},linux/${native}`;

let hub: Hub;
let engine: Engine;
let image: string;
before(async () => {
  hub = await startHub();
  await hub.addUser('ana', 'ana-password');
  engine = await startEngine();
  image = `${hub.address}/ana/app`;
  await ok(['login', '-u', 'ana', '--password-stdin', hub.address], 'ana-password');
});
after(async () => {
  await engine[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
});

async function ok(args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await engine.gantry(args, { input, env: { TOKEN: 'topsecret' } });
  assert.equal(code, 0, `gantry ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}
const build = (files: Files, ...args: readonly string[]) =>
  ok(['build', '--progress=plain', ...args, contextFolder(engine, files)]);

/** What the hub has, as anybody reads it. */
async function fetched<T>(kind: 'manifests' | 'blobs', reference: string): Promise<T> {
  const authorization = `Basic ${Buffer.from('ana:ana-password').toString('base64')}`;
  const accept = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json';
  const response = await fetch(`http://${hub.address}/v2/ana/app/${kind}/${reference}`, {
    headers: { authorization, accept },
  });
  assert.equal(response.status, 200, `${kind} ${reference}`);
  return (await response.json()) as T;
}

const Dockerfile = `FROM --platform=$BUILDPLATFORM busybox AS build
ARG TARGETARCH
RUN echo "for $TARGETARCH, made on $(uname -m)" > /made
FROM scratch
COPY --from=build /made /made
COPY --from=build /bin/busybox /bin/cat
ENTRYPOINT ["/bin/cat", "/made"]
`;

test('several platforms are built at once, and kept, pushed, saved and removed as one index', async () => {
  const metadata = `${engine.root}/metadata.json`;
  const output = await build(
    { Dockerfile },
    '--platform',
    both,
    '-t',
    `${image}:two`,
    '--push',
    '--metadata-file',
    metadata,
  );
  assert.match(output, new RegExp(`\\[linux/${other} build 2/2\\] RUN`));
  const index = await fetched<Manifest>('manifests', 'two');
  assert.deepEqual(
    index.manifests.map(({ platform }) => platform.architecture),
    [native, other],
  );
  for (const { digest, platform } of index.manifests) {
    const { config } = await fetched<Manifest>('manifests', digest);
    const { architecture } = await fetched<{ architecture: string }>('blobs', config.digest);
    assert.equal(architecture, platform.architecture);
  }
  const { 'containerimage.digest': digest } = JSON.parse(readFileSync(metadata, 'utf8'));
  assert.equal((await fetched<Manifest>('manifests', digest)).manifests.length, 2);

  // Here the name is this host's image, and the other is listed nowhere.
  assert.match(await ok(['run', '--rm', `${image}:two`]), new RegExp(`^for ${native}, made on`));
  assert.equal((await ok(['images', '-aq'])).trim().split('\n').length, 2);
  await ok(['tag', `${image}:two`, `${image}:again`]);
  await ok(['image', 'prune', '-f']);
  await ok(['push', `${image}:again`]);
  assert.deepEqual(await fetched('manifests', 'again'), index);

  // An archive has all of it, and is loaded again by whoever reads OCI layouts.
  await ok(['save', '-o', `${engine.root}/two.tar`, `${image}:two`]);
  mkdirSync(`${engine.root}/two`);
  execFileSync('tar', ['-C', `${engine.root}/two`, '-xf', `${engine.root}/two.tar`]);
  const layout = JSON.parse(readFileSync(`${engine.root}/two/index.json`, 'utf8')) as Manifest;
  assert.equal(layout.manifests[0]?.digest, digest);
  for (const { digest } of index.manifests)
    assert.ok(readFileSync(`${engine.root}/two/blobs/${digest.replace(':', '/')}`).length > 0);

  // A name that is given to something else leaves the index behind.
  await ok(['tag', 'busybox', `${image}:again`]);
  await ok(['save', '-o', `${engine.root}/again.tar`, `${image}:again`]);
  assert.doesNotMatch(readFileSync(`${engine.root}/again.tar`, 'latin1'), new RegExp(digest));
  // With the last name, all of it goes.
  await ok(['rmi', `${image}:two`, `${image}:again`]);
  assert.equal((await ok(['images', '-aq'])).trim().split('\n').length, 1);
  await ok(['load', '-i', `${engine.root}/two.tar`]);
  assert.match(await ok(['run', '--rm', `${image}:two`]), new RegExp(`^for ${native}`));
  await ok(['rmi', `${image}:two`]);
  assert.match(await ok(['system', 'check']), /0 problems|no problem|nothing/i);
});

test('what cannot be of several platforms is refused by name', async () => {
  const context = contextFolder(engine, { Dockerfile });
  for (const [args, message] of [
    [[], /give one with -t/],
    [['-t', 'x', '--cache-to', 'type=local,dest=c', '--cache-to', 'type=local,dest=d'], /results go to one directory/],
  ] as const) {
    const { code, stderr } = await engine.gantry(['build', '--platform', both, ...args, context]);
    assert.equal(code, 1);
    assert.match(stderr, message);
  }
  const { code, stderr } = await engine.gantry([
    'build',
    '--platform',
    both,
    '-t',
    'x',
    contextFolder(engine, { Dockerfile: 'FROM scratch\nCOPY f /f\nRUN ["/f"]\n', f: 'x' }),
  ]);
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`cannot run programs for linux/${other}`));
});

const withPackages = `FROM busybox
COPY <<EOF /etc/os-release
ID=debian
VERSION_ID="12"
EOF
COPY <<EOF /var/lib/dpkg/status
Package: libc6
Status: install ok installed
Architecture: ${native}
Version: 2.36-9+deb12u9

Package: gone
Status: deinstall ok config-files
Version: 1
EOF
COPY <<EOF /lib/apk/db/installed
P:musl
V:1.2.4-r2
A:x86_64
L:MIT
EOF
COPY <<EOF /app/node_modules/@scope/thing/package.json
{"name":"@scope/thing","version":"1.2.3","license":"MIT"}
EOF
COPY <<EOF /usr/lib/python3/dist-packages/Some_Thing-2.0.dist-info/METADATA
Name: Some_Thing
Version: 2.0

Name: not-this
EOF
RUN ln -s /app /loop && ln -s / /app/up && mkdir -p /var/proc
ARG SECRETLIKE
RUN --mount=type=secret,id=token test -s /run/secrets/token
`;

test('--sbom and --provenance: statements about the image, in the index that is pushed', async () => {
  await build(
    { Dockerfile: withPackages },
    ...['-t', `${image}:attested`, '--push', '--sbom=true', '--provenance=true'],
    ...['--build-arg', 'SECRETLIKE=hunter2', '--secret', 'id=token,env=TOKEN'],
  );
  const index = await fetched<Manifest>('manifests', 'attested');
  const [own, attestation] = index.manifests;
  assert.equal(attestation?.platform.architecture, 'unknown');
  assert.deepEqual(attestation?.annotations, {
    'vnd.docker.reference.digest': own?.digest,
    'vnd.docker.reference.type': 'attestation-manifest',
  });
  const manifest = await fetched<Manifest>('manifests', attestation?.digest ?? '');
  const statements = new Map<string, Statement>();
  for (const { digest, annotations } of manifest.layers) {
    const statement = await fetched<Statement>('blobs', digest);
    assert.equal(statement.predicateType, annotations['in-toto.io/predicate-type']);
    assert.equal(`sha256:${statement.subject[0]?.digest.sha256}`, own?.digest);
    statements.set(statement.predicateType, statement);
  }
  const sbom = statements.get('https://spdx.dev/Document');
  const purls = sbom?.predicate.packages.flatMap(({ externalRefs = [] }) =>
    externalRefs.map((r) => r.referenceLocator),
  );
  assert.deepEqual(purls?.sort(), [
    'pkg:apk/debian/musl@1.2.4-r2?arch=x86_64&distro=debian-12',
    `pkg:deb/debian/libc6@2.36-9+deb12u9?arch=${native}&distro=debian-12`,
    'pkg:npm/%40scope/thing@1.2.3',
    'pkg:pypi/some-thing@2.0',
  ]);
  const provenance = JSON.stringify(statements.get('https://slsa.dev/provenance/v1'));
  assert.match(provenance, /"uri":"pkg:docker\/busybox/);
  assert.doesNotMatch(provenance, /hunter2|topsecret/);
  await build(
    { Dockerfile: withPackages },
    ...['-t', `${image}:max`, '--push', '--attest', 'type=provenance,mode=max'],
    ...['--build-arg', 'SECRETLIKE=hunter2', '--secret', 'id=token,env=TOKEN'],
  );
  const max = await fetched<Manifest>(
    'manifests',
    (await fetched<Manifest>('manifests', 'max')).manifests[1]?.digest ?? '',
  );
  const told = JSON.stringify(await fetched('blobs', max.layers[0]?.digest ?? ''));
  assert.match(told, /"build-arg:SECRETLIKE":"hunter2"/);
  assert.doesNotMatch(told, /topsecret/);
  // The image itself is pulled like others.
  await ok(['rmi', `${image}:attested`]);
  await ok(['pull', `${image}:attested`]);
  const { code, stderr } = await engine.gantry([
    'build',
    '--sbom=true',
    contextFolder(engine, { Dockerfile: 'FROM busybox\n' }),
  ]);
  assert.equal(code, 1);
  assert.match(stderr, /give one with -t/);
});
