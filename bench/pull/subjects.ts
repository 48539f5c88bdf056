import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cacheDirectory } from '../../e2e/harness/images.ts';
import { debianBase } from '../../scripts/debian-base.ts';

/** An image that is pulled: made by a gantry that has nothing yet, under the name that it is pushed as. */
export interface Subject {
  readonly title: string;
  make(image: string, directory: string, gantry: (...args: string[]) => Promise<void>): Promise<void>;
}

/** Files of words, which compress about as programs do. */
function writeFiles(directory: string, count: number, bytes: number): void {
  mkdirSync(directory, { recursive: true });
  for (let n = 0; n < count; n++) {
    let text = '';
    for (let state = n + 1; text.length < bytes; ) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      text += `${(state % 5000).toString(36)} `;
    }
    writeFileSync(`${directory}/${n}`, text.slice(0, bytes));
  }
}

export const subjects: Readonly<Record<string, Subject>> = {
  debian: {
    title: 'one gzip layer of a Debian root file system',
    make: async (image, _directory, gantry) => gantry('import', await debianBase(cacheDirectory), image),
  },
  layers: {
    title: 'twelve layers of 100 files of 20 KB',
    async make(image, directory, gantry) {
      const lines = ['FROM scratch'];
      for (let n = 1; n <= 12; n++) {
        writeFiles(`${directory}/layer-${n}`, 100, 20_000 + n);
        lines.push(`COPY layer-${n} /layer-${n}`);
      }
      writeFileSync(`${directory}/Dockerfile`, lines.join('\n'));
      await gantry('build', '-q', '-t', image, directory);
    },
  },
  small: {
    title: 'one layer of 2,000 files of 1 KB',
    async make(image, directory, gantry) {
      writeFiles(`${directory}/small`, 2000, 1000);
      execFileSync('tar', ['-C', directory, '-cf', `${directory}/small.tar`, 'small']);
      await gantry('import', `${directory}/small.tar`, image);
    },
  },
};
