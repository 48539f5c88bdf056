import { writeSync } from 'node:fs';
import { writeAll } from '#linux/index.ts';
import { BLOCK } from './on-disk.ts';

const BUFFER_BYTES = 1 << 20;

/** A file that is written from its start to its end, in large pieces; its first block comes last. */
export interface BlockFile {
  /** Bytes so far. */
  readonly position: number;
  append(bytes: Uint8Array): void;
  /** Zeros up to a position. */
  padTo(position: number): void;
  /** Zeros up to the next block. */
  align(): void;
  /** Writes what is held back, and the first block. */
  end(firstBlock: Uint8Array): void;
}

/** @throws SyscallError exhausted where the disk is full */
export function createBlockFile(fd: number): BlockFile {
  const buffer = Buffer.alloc(BUFFER_BYTES);
  let held = BLOCK;
  let flushed = 0;

  function flush(): void {
    writeAll(fd, buffer.subarray(0, held));
    flushed += held;
    held = 0;
  }

  function append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + BUFFER_BYTES - held);
      buffer.set(part, held);
      held += part.length;
      at += part.length;
      if (held === BUFFER_BYTES) flush();
    }
  }

  function padTo(position: number): void {
    for (let rest = position - flushed - held; rest > 0; ) {
      const length = Math.min(rest, BUFFER_BYTES - held);
      buffer.fill(0, held, held + length);
      held += length;
      rest -= length;
      if (held === BUFFER_BYTES) flush();
    }
  }

  return {
    get position() {
      return flushed + held;
    },
    append,
    padTo,
    align: () => padTo(Math.ceil((flushed + held) / BLOCK) * BLOCK),
    end(firstBlock) {
      flush();
      writeSync(fd, firstBlock, 0, BLOCK, 0);
    },
  };
}
