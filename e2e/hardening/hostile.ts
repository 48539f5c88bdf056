import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { type NewTarHeader, packEntries, readTar, type TarSource } from '#tar/index.ts';
import { syscallTables } from '../../src/runtime/seccomp/syscall-tables.ts';
import type { Engine } from '../harness/engine.ts';
import { busyboxRootfs, cacheDirectory } from '../harness/images.ts';

const source = `${import.meta.dirname}/probe.c`;

/** probe.c, compiled once per version. */
export function compileProbe(): string {
  const digest = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 12);
  const program = `${cacheDirectory}/probe-${digest}`;
  if (!existsSync(program)) {
    mkdirSync(cacheDirectory, { recursive: true });
    const temporary = `${program}.${process.pid}`;
    execFileSync('cc', ['-O1', '-Wall', '-Werror', '-static', '-o', temporary, source]);
    renameSync(temporary, program);
  }
  return program;
}

/** The probe where containers have it: `-v` this. */
export const probeMount = (): readonly string[] => ['-v', `${compileProbe()}:/probe:ro`];

export const callNumber = (name: string): string =>
  String(syscallTables[process.arch === 'arm64' ? 'arm64' : 'x64'][name] ?? -1);

/** busybox with other entries in place of its own; what is below a replaced directory goes too. */
export async function hostileImage(
  engine: Engine,
  name: string,
  entries: readonly (NewTarHeader & { readonly text?: string })[],
): Promise<void> {
  const own = entries.map((entry) => entry.name.replace(/\/$/, ''));
  const chunks: Uint8Array[] = [];
  const all = async function* (): AsyncGenerator<TarSource> {
    async function* once() {
      yield busyboxRootfs();
    }
    for await (const entry of readTar(once())) {
      const path = entry.name.replace(/^\.?\//, '').replace(/\/$/, '');
      if (own.some((other) => path === other || path.startsWith(`${other}/`))) continue;
      const { body: _body, bytes: _bytes, ...header } = entry;
      yield entry.type === 'file' ? { header, body: await entry.bytes(64 << 20) } : { header };
    }
    for (const { text, ...header } of entries)
      yield text === undefined ? { header } : { header, body: Buffer.from(text) };
  };
  for await (const chunk of packEntries(all())) chunks.push(chunk);
  const { text } = await engine.api('POST', `/images/create?fromSrc=-&repo=${name}&tag=latest`, Buffer.concat(chunks));
  if (!text.includes('sha256:')) throw new Error(`importing ${name}: ${text}`);
}
