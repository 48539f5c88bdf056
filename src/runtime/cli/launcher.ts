import { readSync, writeSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import { errnoName } from '../launch-error.ts';

/** What native/launcher-main/control.h lists. */
const kinds = { guard: 1, launch: 2, 'hand over': 3, done: 4, adopt: 5, rootless: 6 } as const;

/** Beyond the longest answer, an error with what it was done to. */
const answerBytes = 4096;

/**
 * The process that a caller of gantry-runtime sees, our parent: it carries out plans, and outlives us where a process is
 * to be waited for. bin/gantry-runtime starts it; a command that asks nothing of it runs without.
 */
export interface Launcher {
  /** How many descriptors the caller gave, from the third on. */
  readonly givenFds: number;
  /** The pid that the caller knows. */
  readonly pid: number;
  /** Signals are kept for the process from here on; where we die, gantry-runtime is run with these words. */
  guard(words: readonly string[]): void;
  /** Carries out the plan of a file. @returns its answer, a packet (control.h) */
  launch(planPath: string): Buffer;
  /** The launcher becomes root of a user namespace in which its user is all there is. @throws GantryError forbidden */
  rootless(): void;
  /** Processes that lose their parent below the launcher become its own. */
  adoptOrphans(): void;
  /** One of those is as if launched. */
  adopt(pid: number): void;
  /**
   * The launched process is the launcher's to see through. Then it removes these files and empty directories; where it
   * cannot, or none is named, gantry-runtime is run with the words. We have nothing more to say.
   */
  handOver(remains: readonly string[], otherwise: readonly string[]): void;
  /** The caller is told so at once; for what is left to do, our own end included, nobody waits. */
  done(code: number): void;
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Bytes of a packet: the kind, then lists of strings. */
function packet(kind: keyof typeof kinds, ...lists: readonly (readonly string[])[]): Buffer {
  const parts = [u32(kinds[kind])];
  for (const list of lists) {
    const texts = Buffer.from(list.map((text) => `${text}\0`).join(''));
    parts.push(u32(texts.length), texts);
  }
  return Buffer.concat(parts);
}

function openLauncher(fd: number, givenFds: number): Launcher {
  const say = (bytes: Buffer) => void writeSync(fd, bytes);
  let handedOver = false;
  return {
    givenFds,
    pid: process.ppid,
    guard: (words) => say(packet('guard', words)),
    launch(planPath) {
      say(Buffer.concat([u32(kinds.launch), Buffer.from(`${planPath}\0`)]));
      const answer = Buffer.allocUnsafe(answerBytes);
      return answer.subarray(0, readSync(fd, answer));
    },
    rootless() {
      say(u32(kinds.rootless));
      const answer = Buffer.alloc(4);
      const heard = readSync(fd, answer) === 4;
      const errno = answer.readUInt32LE();
      if (heard && errno === 0) return;
      throw new GantryError(
        'forbidden',
        `this host lets its users make no user namespaces: ${errnoName(errno)}; see kernel.unprivileged_userns_clone and user.max_user_namespaces in sysctl(8)`,
      );
    },
    adoptOrphans: () => say(Buffer.concat([u32(kinds.adopt), u32(0)])),
    adopt: (pid) => say(Buffer.concat([u32(kinds.adopt), u32(pid)])),
    handOver(remains, otherwise) {
      say(packet('hand over', remains, otherwise));
      handedOver = true;
    },
    done(code) {
      if (handedOver) return;
      say(Buffer.concat([u32(kinds.done), u32(code)]));
    },
  };
}

const { GANTRY_LAUNCHER = '', GANTRY_GIVEN_FDS = '0' } = process.env;

/** Undefined where the program runs by itself. */
export const launcher: Launcher | undefined =
  GANTRY_LAUNCHER === '' ? undefined : openLauncher(Number(GANTRY_LAUNCHER), Number(GANTRY_GIVEN_FDS));

/** @throws GantryError unavailable where there is none */
export function requireLauncher(): Launcher {
  if (launcher === undefined)
    throw new GantryError('unavailable', 'nobody carries out plans here; start this program by bin/gantry-runtime');
  return launcher;
}
