// A process of its own that does to a store what an engine does, one thing after the other, until it is killed:
// `node busy-store.ts ROOT DRIVER REGISTRY SEED`. Each thing that is done is told: `+ NAME ID`, `- NAME`; before, where
// a kill leaves it open: `? NAME` is being removed, `~ NAME` is being given to another image.
import { createReadStream, readdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { isGantryError } from '#errors/index.ts';
import { isDriverName } from '#snapshots/index.ts';
import { tarOf } from './sample-image.ts';
import { seededRandom } from './seeded-random.ts';
import { openStore } from './store.ts';

const [, , root = '', driver = '', registry = '', seed = '1'] = process.argv;
if (!isDriverName(driver)) throw new Error(`there is no driver "${driver}"`);
const random = seededRandom(Number(seed));
const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
const archives = readdirSync(`${root}/archives`).map((name) => `${root}/archives/${name}`);
const tell = (line: string) => process.stdout.write(`${line}\n`);

tell('begins');
const { images } = await openStore({ root, driver });
tell('opened');
const names = ['one', 'two', 'three', 'large'].map((name) => `${registry}/ana/${name}:v1`);

const pulls = async () => {
  const name = pick(names) ?? '';
  tell(`+ ${name} ${(await images.pull(name, {})).id}`);
};
const removes = async () => {
  const name = pick((await images.list()).flatMap(({ tags }) => tags));
  if (name === undefined) return;
  tell(`? ${name}`);
  await images.remove(name, { force: true });
  tell(`- ${name}`);
};
const loads = async () => {
  for (const name of await images.load(createReadStream(pick(archives) ?? '')))
    tell(`+ ${name} ${(await images.get(name)).id}`);
};
const rootfs = await tarOf({ 'bin/one': 'one', 'etc/large': Buffer.alloc(400_000, 'x') });
const imports = async () => {
  tell('~ rootfs:latest');
  const { id } = await images.import(Readable.from([random() < 0.5 ? rootfs : gzipSync(rootfs)]), {
    reference: 'rootfs',
  });
  tell(`+ rootfs:latest ${id}`);
};
for (;;) {
  const work = [pick([pulls, removes, loads, imports]), pick([pulls, removes, loads])].map((act) => act?.());
  // One that another of the two removes at the same moment is not there any more.
  for (const result of await Promise.allSettled(work))
    if (result.status === 'rejected' && !isGantryError(result.reason, 'not-found')) throw result.reason;
}
