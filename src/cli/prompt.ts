import type { Readable } from 'node:stream';
import { Failure } from './failure.ts';
import { writeOut } from './output.ts';
import { enterRawMode } from './terminal.ts';

/** Everything that a stream holds, as text. */
export async function readAll(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Asks one line on the terminal. Without `echo` nothing of it is shown, and the terminal is put right again in any case.
 * @throws Failure where the person presses Ctrl-C or the input ends
 */
export async function askLine(question: string, { echo }: { echo: boolean }): Promise<string> {
  // First, so that nothing typed early is shown either.
  const restore = echo ? () => {} : enterRawMode({ output: false });
  writeOut(question);
  const { stdin } = process;
  let typed: number[] = [];
  try {
    return await new Promise<string>((resolve, reject) => {
      const end = (outcome: () => void) => {
        stdin.off('data', onData).off('end', onEnd).pause();
        outcome();
      };
      const onEnd = () => end(() => reject(new Failure('', 1)));
      const onData = (data: Buffer) => {
        for (const byte of data) {
          if (byte === 0x0d || byte === 0x0a) return end(() => resolve(Buffer.from(typed).toString('utf8')));
          if (byte === 0x03 || byte === 0x04) return end(() => reject(new Failure('', 130)));
          if (!echo && (byte === 0x7f || byte === 0x08)) typed = withoutLast(typed);
          else if (!echo && byte === 0x15) typed = [];
          else typed.push(byte);
        }
      };
      stdin.on('data', onData).on('end', onEnd).resume();
    });
  } finally {
    restore();
    if (!echo) writeOut('\n');
  }
}

/** Without its last character, which in UTF-8 may be several bytes. */
function withoutLast(bytes: readonly number[]): number[] {
  let end = bytes.length - 1;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.slice(0, Math.max(end, 0));
}
