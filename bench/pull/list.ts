// How fast the engine lists a thousand images. See README.md.
import { startEngine } from '../../e2e/harness/engine.ts';
import { tarOf } from '../../e2e/images/sample-image.ts';
import { measure, print } from '../harness/measure.ts';

const images = Number(process.argv[2] ?? 1000);

await using engine = await startEngine();
for (let n = 0; n < images; n++) {
  const { text } = await engine.api('POST', `/images/create?fromSrc=-&repo=many&tag=v${n}`, await tarOf({ n: `${n}` }));
  if (!text.includes('sha256:')) throw new Error(text);
}
const list = async (path: string): Promise<void> => {
  const { body } = await engine.api('GET', path);
  if (!Array.isArray(body) || body.length < images) throw new Error('images are missing');
};
print(
  `${images} images listed`,
  await measure(
    [
      { name: 'GET /images/json', run: () => list('/images/json') },
      { name: 'GET /images/json?all=1&digests=1', run: () => list('/images/json?all=1&digests=1') },
      { name: 'gantry images', run: async () => void (await engine.gantry(['images'])) },
    ],
    10,
  ),
);
