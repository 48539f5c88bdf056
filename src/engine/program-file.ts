/**
 * What stands at the beginning of a file that was to be executed (elf(5), execve(2)): enough to say why the kernel refuses
 * it. The bytes may be anybody's.
 */
export type ProgramFile =
  | { readonly kind: 'empty' | 'text' | 'unknown' }
  /** `#!`: the kernel starts `interpreter` instead. */
  | {
      readonly kind: 'script';
      readonly interpreter: string;
      readonly carriageReturn: boolean;
      readonly marked: boolean;
    }
  | { readonly kind: 'elf'; readonly machine: string; readonly object: boolean; readonly loader: string | undefined }
  /** A program of another system, or what another program runs; in words. */
  | { readonly kind: 'foreign'; readonly what: string };

/** How much of a file is read; the kernel itself looks at 256 bytes and the program headers. */
export const programHeadBytes = 16 * 1024;

const machines: Readonly<Record<number, string>> = {
  3: '386',
  8: 'mips',
  20: 'ppc',
  21: 'ppc64le',
  22: 's390x',
  40: 'arm',
  62: 'amd64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
};

const foreign: readonly (readonly [magic: string, what: string])[] = [
  ['4d5a', 'a program for Windows'],
  ['cffaedfe', 'a program for macOS'],
  ['cefaedfe', 'a program for macOS'],
  ['cafebabe', 'a Java class, or a program for macOS'],
  ['504b0304', 'a zip archive (a .jar is run by java -jar)'],
  ['1f8b', 'a gzip archive'],
];

const mark = '\ufeff';

export function readProgramFile(head: Buffer): ProgramFile {
  if (head.length === 0) return { kind: 'empty' };
  if (head.toString('latin1', 0, 4) === '\x7fELF') return readElf(head);
  const hex = head.toString('hex', 0, 4);
  const other = foreign.find(([magic]) => hex.startsWith(magic));
  if (other !== undefined) return { kind: 'foreign', what: other[1] };
  const text = head.toString('utf8');
  const marked = text.startsWith(mark);
  const plain = marked ? text.slice(mark.length) : text;
  if (plain.startsWith('#!')) {
    const [line = ''] = plain.slice(2).split('\n', 1);
    const [interpreter = ''] = line.trim().split(/\s/, 1);
    return { kind: 'script', interpreter, carriageReturn: line.endsWith('\r'), marked };
  }
  return { kind: head.includes(0) ? 'unknown' : 'text' };
}

const PT_INTERP = 3;
const [ET_EXEC, ET_DYN] = [2, 3];

function readElf(head: Buffer): ProgramFile {
  const wide = head[4] === 2;
  const big = head[5] === 2;
  const number = (at: number, size: 2 | 4 | 8): number => {
    if (at + size > head.length) return 0;
    if (size === 2) return big ? head.readUInt16BE(at) : head.readUInt16LE(at);
    if (size === 4) return big ? head.readUInt32BE(at) : head.readUInt32LE(at);
    return Number(big ? head.readBigUInt64BE(at) : head.readBigUInt64LE(at));
  };
  const word = wide ? 8 : 4;
  const type = number(16, 2);
  const code = number(18, 2);
  const headers = number(wide ? 32 : 28, word);
  const [size, count] = [number(wide ? 54 : 42, 2), number(wide ? 56 : 44, 2)];
  let loader: string | undefined;
  for (let index = 0; index < count && loader === undefined; index++) {
    const at = headers + index * size;
    if (number(at, 4) !== PT_INTERP) continue;
    const [from, length] = [number(at + (wide ? 8 : 4), word), number(at + (wide ? 32 : 16), word)];
    if (length > 0 && from + length <= head.length) loader = head.toString('utf8', from, from + length - 1);
  }
  return {
    kind: 'elf',
    machine: machines[code] ?? `machine ${code}`,
    object: type !== ET_EXEC && type !== ET_DYN,
    loader,
  };
}
