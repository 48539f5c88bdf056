// What deploy/ holds is what the programs that read it take, and every flag in it is one of the hub's.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { gantryProgram, project, run } from '../harness/program.ts';

const missing = (program: string) => !existsSync(program) && `${program} is not on this machine`;
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec?: {
    readonly template?: { readonly spec: { readonly containers: readonly { readonly args: readonly string[] }[] } };
  };
}
const manifestsOf = (file: string): Manifest[] =>
  parseAllDocuments(readFileSync(`${project}/deploy/kubernetes/${file}`, 'utf8')).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Manifest;
  });
/** Says that it knows every flag: with --help after them nothing is served. */
async function mustParse(words: readonly string[]): Promise<void> {
  assert.deepEqual(words.slice(0, 3), ['gantry', 'hub', 'serve']);
  const { code, stdout, stderr } = await run(gantryProgram, [...words.slice(1), '--help']);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Usage: {2}gantry hub serve/);
}

for (const file of readdirSync(`${project}/deploy/kubernetes`))
  test(`kubernetes/${file}: every field is one that Kubernetes has, of the right type`, async () => {
    const manifests = manifestsOf(file);
    const source = manifests.map(
      (manifest, i) =>
        `import type { ${manifest.kind} as K${i} } from 'kubernetes-types/${moduleOf(manifest)}';\n` +
        `export const m${i}: K${i} = ${JSON.stringify(manifest, null, 1)};\n`,
    );
    const directory = mkdtempSync(join(project, 'build', 'gantry-deploy-'));
    try {
      writeFileSync(`${directory}/manifests.ts`, source.join(''));
      const args = [
        '--noEmit',
        '--strict',
        '--skipLibCheck',
        '--module',
        'esnext',
        '--moduleResolution',
        'bundler',
        '--types',
        '',
        '--ignoreConfig',
      ];
      const { code, stdout } = await run(`${project}/node_modules/.bin/tsc`, [...args, `${directory}/manifests.ts`]);
      assert.equal(code, 0, stdout);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
    for (const { spec } of manifests)
      for (const { args } of spec?.template?.spec.containers ?? []) await mustParse(args);
  });

test('compose.yaml is what docker-compose takes', { skip: missing('/usr/bin/docker-compose') }, async () => {
  const { code, stdout, stderr } = await run('docker-compose', ['-f', `${project}/deploy/compose.yaml`, 'config'], {
    env: { GANTRY_IMAGE: 'gantry' },
  });
  assert.equal(code, 0, stderr);
  const { services } = parse(stdout) as { services: { hub: { command: string[]; read_only: boolean } } };
  assert.equal(services.hub.read_only, true);
  await mustParse(services.hub.command);
});

test('the unit is what systemd takes', { skip: missing('/usr/bin/systemd-analyze') }, async () => {
  const unit = readFileSync(`${project}/deploy/systemd/gantry-hub.service`, 'utf8');
  const directory = mkdtempSync(join(tmpdir(), 'gantry-unit-'));
  try {
    const file = `${directory}/gantry-hub.service`;
    writeFileSync(file, unit.replace('/usr/local/bin/gantry', gantryProgram));
    const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', file]);
    const ours = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('gantry-hub'));
    assert.deepEqual(ours, []);
    const command = /^ExecStart=\S+ (.*)$/m.exec(unit)?.[1]?.split(' ') ?? [];
    await mustParse(['gantry', ...command]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

const moduleOf = ({ apiVersion, kind }: Manifest): string => {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion];
  assert.ok(group !== undefined && version !== undefined, kind);
  return `${group}/${version}`;
};
