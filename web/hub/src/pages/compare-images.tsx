import { withQuery } from '../hub-api.ts';
import type { ImageView, RepositoryView } from '../hub-types.ts';
import { useLoaded } from '../loading.ts';
import { go } from '../navigation.ts';
import { Choice } from '../parts/field.tsx';
import { Problem } from '../parts/problem.tsx';
import { shortDigest, sizeText } from '../units.ts';

/** Two tags side by side: the layers they share and do not, and what differs in their configuration. */
export function Compare({
  repository: { name, tags },
  from,
  to,
}: {
  readonly repository: RepositoryView;
  readonly from: string | undefined;
  readonly to: string | undefined;
}) {
  const pathOf = (tag: string | undefined) =>
    tag === undefined ? undefined : withQuery('image', { name, reference: tag });
  const before = useLoaded<ImageView>(pathOf(from));
  const after = useLoaded<ImageView>(pathOf(to));
  const choose = (change: Readonly<Record<string, string>>) =>
    go(`/${name}?${new URLSearchParams({ tab: 'compare', from: from ?? '', to: to ?? '', ...change })}`);
  const options = tags.map((tag) => <option key={tag.name}>{tag.name}</option>);
  return (
    <section aria-labelledby="compare">
      <h2 id="compare">Compare two tags</h2>
      <div class="row choices">
        <span>
          <Choice label="From" value={from ?? ''} onChange={(event) => choose({ from: event.currentTarget.value })}>
            {options}
          </Choice>
        </span>
        <span>
          <Choice label="To" value={to ?? ''} onChange={(event) => choose({ to: event.currentTarget.value })}>
            {options}
          </Choice>
        </span>
      </div>
      <Problem text={before.problem || after.problem} />
      {before.data !== undefined && after.data !== undefined && <Difference before={before.data} after={after.data} />}
    </section>
  );
}

function Difference({ before, after }: { readonly before: ImageView; readonly after: ImageView }) {
  if (before.digest === after.digest) return <p>They are the same image, {shortDigest(after.digest)}.</p>;
  const layers = (image: ImageView) =>
    new Map(image.steps.flatMap((step) => (step.layer === undefined ? [] : [[step.layer.digest, step] as const])));
  const [old, fresh] = [layers(before), layers(after)];
  const all = [...new Map([...old, ...fresh])];
  const keys = [...new Set([...Object.keys(before.config), ...Object.keys(after.config)])];
  const textOf = (value: unknown) => (value === undefined ? '' : JSON.stringify(value));
  const changed = keys.filter((key) => textOf(before.config[key]) !== textOf(after.config[key]));
  const growth = after.size - before.size;
  return (
    <>
      <p>
        {sizeText(before.size)} to {sizeText(after.size)}:{' '}
        {growth < 0 ? `${sizeText(-growth)} less` : `${sizeText(growth)} more`}
      </p>
      <h3>Layers</h3>
      <ul class="difference">
        {all.map(([digest, { instruction, layer }]) => {
          const kind = !old.has(digest) ? 'added' : !fresh.has(digest) ? 'removed' : 'shared';
          return (
            <li key={digest} class={kind}>
              <strong>{kind}</strong> {sizeText(layer?.size ?? 0)} <code>{instruction || shortDigest(digest)}</code>
            </li>
          );
        })}
      </ul>
      <h3>Configuration</h3>
      {changed.length === 0 ? (
        <p class="hint">The same.</p>
      ) : (
        <dl class="pairs">
          {changed.map((key) => (
            <>
              <dt>{key}</dt>
              <dd class="break">
                <del>{textOf(before.config[key])}</del> <ins>{textOf(after.config[key])}</ins>
              </dd>
            </>
          ))}
        </dl>
      )}
    </>
  );
}
