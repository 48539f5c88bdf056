import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { throwIfAborted } from '#errors/index.ts';
import { closeFd, showName, statusOf, walkTree } from '#linux/index.ts';
import { bytesOf } from '../file-bytes.ts';
import { findInRoot, readTextInRoot, reopen } from '../tree-paths.ts';
import { languageKind, npmPackage, pythonPackage } from './language-packages.ts';
import type { Distribution, InstalledPackage } from './package.ts';
import { apkPackages, dpkgPackages, rpmPackages } from './system-packages.ts';

const mostDatabase = 64 * 1024 * 1024;
const mostMetadata = 1024 * 1024;
/** A hostile tree may be of any size. */
const mostPackages = 100_000;
/** Nothing that is installed lies there. */
const passedOver: ReadonlySet<string> = new Set(['proc', 'sys', 'dev']);

export interface Inventory {
  readonly distribution: Distribution;
  readonly packages: readonly InstalledPackage[];
}

/**
 * What is installed in a tree, by the databases of dpkg, apk, rpm, npm and pip in it. Every path is resolved inside the tree;
 * what is too large to be a database is passed over. `scratch` is a directory for copies.
 */
export async function installedPackages(root: number, scratch: string, signal: AbortSignal): Promise<Inventory> {
  const text = async (path: string, most = mostDatabase) => (await readTextInRoot(root, path, most)) ?? '';
  const release = await text('etc/os-release', mostMetadata);
  const osField = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(release)?.[1];
  const packages = [
    ...dpkgPackages(await text('var/lib/dpkg/status'), '/var/lib/dpkg/status'),
    ...apkPackages(await text('lib/apk/db/installed'), '/lib/apk/db/installed'),
    ...(await rpm(root, scratch, signal)),
  ];
  for await (const path of metadataFiles(root, signal)) {
    if (packages.length >= mostPackages) break;
    const found = path.startsWith('var/lib/dpkg/status.d/')
      ? dpkgPackages(await text(path, mostMetadata), `/${path}`)
      : [(languageKind(path) === 'npm' ? npmPackage : pythonPackage)(await text(path, mostMetadata), `/${path}`)];
    packages.push(...found.filter((one) => one !== undefined));
  }
  return { distribution: { id: osField('ID') ?? 'linux', version: osField('VERSION_ID') ?? '' }, packages };
}

/** Paths of files that tell of one package each, by name. */
async function* metadataFiles(root: number, signal: AbortSignal): AsyncGenerator<string, void, void> {
  const above: string[] = [];
  const walk = walkTree(root, { compare: (a, b) => (showName(a) < showName(b) ? -1 : 1) });
  let into = true;
  for (let count = 1; ; count++) {
    const { value: step, done } = walk.next(into);
    if (done) return;
    into = true;
    if (count % 512 === 0) {
      await setImmediate();
      throwIfAborted(signal);
    }
    if (step.kind === 'leave') {
      above.pop();
      continue;
    }
    const name = showName(step.name);
    const path = [...above, name].join('/');
    if (step.directory) {
      into = !(step.depth === 1 && passedOver.has(name));
      if (into) above.push(name);
    } else if (languageKind(path) !== undefined || /^var\/lib\/dpkg\/status\.d\/[^/]+$/.test(path)) {
      if (!path.endsWith('.md5sums')) yield path;
    }
  }
}

async function rpm(root: number, scratch: string, signal: AbortSignal): Promise<readonly InstalledPackage[]> {
  for (const path of ['var/lib/rpm/rpmdb.sqlite', 'usr/lib/sysimage/rpm/rpmdb.sqlite']) {
    const handle = findInRoot(root, path);
    if (handle === undefined) continue;
    try {
      const { type, size } = statusOf(handle);
      if (type !== 'file' || size > mostDatabase * 4) continue;
      const copy = `${scratch}/rpmdb.sqlite`;
      const fd = reopen(handle);
      try {
        await pipeline(Readable.from(bytesOf(fd, size, signal)), createWriteStream(copy, { mode: 0o600 }), { signal });
      } finally {
        closeFd(fd);
      }
      const packages = rpmPackages(copy, `/${path}`);
      await rm(copy);
      return packages;
    } finally {
      closeFd(handle);
    }
  }
  return [];
}
