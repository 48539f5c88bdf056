import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';

/** The tar of a minimal Debian with apt, made once per machine by mmdebstrap and kept under `cache`. */
export async function debianBase(cache: string): Promise<string> {
  const suite = /VERSION_CODENAME=(\w+)/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm';
  const tar = join(cache, `debian-${suite}.tar`);
  if (existsSync(tar)) return tar;
  mkdirSync(cache, { recursive: true });
  process.stdout.write(`\n# making a Debian base image (once per machine): mmdebstrap --variant=apt ${suite}\n`);
  const temporary = `${tar}.${process.pid}.tar`;
  const child = spawn('mmdebstrap', ['--variant=apt', suite, temporary], { stdio: ['ignore', 2, 2] });
  const code = await new Promise((done, fail) => child.once('close', done).once('error', fail));
  if (code !== 0) throw new Error(`mmdebstrap ended with ${code}`);
  renameSync(temporary, tar);
  return tar;
}
