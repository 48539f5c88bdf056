import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The tar of a minimal Debian with apt, made once per machine by mmdebstrap and kept under `cache`; with more packages it
 * is another one, called by `name`, without documentation and what `without` names below /usr/share.
 */
export async function debianBase(
  cache: string,
  more?: { readonly name: string; readonly packages: readonly string[]; readonly without?: readonly string[] },
): Promise<string> {
  const suite = /VERSION_CODENAME=(\w+)/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm';
  // What comes compressed is kept as it is: a large base is taken in several times faster.
  const tar = join(cache, `debian-${suite}${more === undefined ? '.tar' : `-${more.name}.tar.gz`}`);
  if (existsSync(tar)) return tar;
  mkdirSync(cache, { recursive: true });
  const trimmed = ['doc', 'man', 'locale', ...(more?.without ?? [])].map((path) => `"$1/usr/share/${path}"`);
  const larger =
    more === undefined ? [] : [`--include=${more.packages.join(',')}`, `--customize-hook=rm -rf ${trimmed.join(' ')}`];
  const args = ['--variant=apt', ...larger];
  process.stdout.write(
    `\n# making a Debian base image (once per machine): mmdebstrap ${suite} ${more?.packages.join(' ') ?? ''}\n`,
  );
  const temporary = `${tar}.${process.pid}${more === undefined ? '.tar' : '.tar.gz'}`;
  const child = spawn('mmdebstrap', [...args, suite, temporary], { stdio: ['ignore', 2, 2] });
  const code = await new Promise((done, fail) => child.once('close', done).once('error', fail));
  if (code !== 0) rmSync(temporary, { force: true });
  if (code !== 0) throw new Error(`mmdebstrap ended with ${code}`);
  renameSync(temporary, tar);
  return tar;
}
