// A process of its own that pulls and says so, to be killed: `node puller.ts ROOT REFERENCE`.
import { openStore } from './store.ts';

const [, , root = '', reference = ''] = process.argv;
const store = await openStore({ root });
const image = await store.images.pull(reference, {});
process.stdout.write(`${image.id}\n`);
setInterval(() => {}, 60_000);
