import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Platform } from '#oci/index.ts';
import { canRunAsItIs } from './platforms.ts';

/** How programs of an architecture begin (elf(5)): bits of a word, byte order, `e_machine`. */
const machines: Readonly<Record<string, readonly [bits: 32 | 64, order: 'little' | 'big', machine: number]>> = {
  386: [32, 'little', 3],
  amd64: [64, 'little', 62],
  arm: [32, 'little', 40],
  arm64: [64, 'little', 183],
  loong64: [64, 'little', 258],
  mips64le: [64, 'little', 8],
  ppc64le: [64, 'little', 21],
  riscv64: [64, 'little', 243],
  s390x: [64, 'big', 22],
};

/** The header of a static program for an architecture, as far as binfmt_misc looks at one. */
function headerOf(architecture: string): Buffer | undefined {
  const known = machines[architecture];
  if (known === undefined) return undefined;
  const [bits, order, machine] = known;
  const header = Buffer.alloc(128);
  header.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, order === 'little' ? 1 : 2, 1]);
  const executable = 2;
  for (const [at, value] of [
    [16, executable],
    [18, machine],
  ] as const)
    if (order === 'little') header.writeUInt16LE(value, at);
    else header.writeUInt16BE(value, at);
  return header;
}

/** Whether an entry of binfmt_misc, as its file tells of it, takes programs that begin so (kernel: binfmt-misc.rst). */
export function takes(entry: string, header: Uint8Array): boolean {
  const [state, ...lines] = entry.split('\n');
  const fields = new Map(
    lines.map((line): [string, string] => {
      const at = line.indexOf(' ');
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const magic = Buffer.from(fields.get('magic') ?? '', 'hex');
  const mask = Buffer.from(fields.get('mask') ?? 'ff'.repeat(magic.length), 'hex');
  const offset = Number(fields.get('offset'));
  if (state !== 'enabled' || magic.length === 0) return false;
  return magic.every((byte, at) => (byte & (mask[at] ?? 0xff)) === ((header[offset + at] ?? 0) & (mask[at] ?? 0xff)));
}

/** Whether this host runs programs of an architecture: its own, or by an interpreter that binfmt_misc was given. */
export function canRun(
  { architecture }: Pick<Platform, 'architecture'>,
  directory = '/proc/sys/fs/binfmt_misc',
): boolean {
  if (canRunAsItIs({ architecture })) return true;
  const header = headerOf(architecture);
  if (header === undefined || !existsSync(`${directory}/status`)) return false;
  if (readFileSync(`${directory}/status`, 'utf8').trim() !== 'enabled') return false;
  return readdirSync(directory)
    .filter((name) => name !== 'register' && name !== 'status')
    .some((name) => takes(readFileSync(`${directory}/${name}`, 'utf8'), header));
}
