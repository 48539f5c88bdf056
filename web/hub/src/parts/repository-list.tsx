import { useEffect, useState } from 'preact/hooks';
import { ask, withQuery } from '../hub-api.ts';
import type { RepositoryList as Page, RepositoryCard } from '../hub-types.ts';
import { useAction } from '../loading.ts';
import { countText, reference, sizeText } from '../units.ts';
import { Command } from './command.tsx';
import { Problem } from './problem.tsx';
import { Time } from './time.tsx';

/** Repositories that a query finds, page by page; `empty` is shown where there are none. */
export function RepositoryList({
  query,
  empty,
}: {
  readonly query: Readonly<Record<string, string>>;
  readonly empty: string;
}) {
  const [found, setFound] = useState<readonly RepositoryCard[] | undefined>();
  const [more, setMore] = useState(false);
  const { busy, problem, run } = useAction();
  const search = JSON.stringify(query);
  const load = (before: readonly RepositoryCard[]) =>
    run(async () => {
      const last = before.at(-1)?.name ?? '';
      const page = await ask<Page>('GET', withQuery('repositories', { ...query, last }));
      setFound([...before, ...page.repositories]);
      setMore(page.more);
    });
  useEffect(() => void load([]), [search]);
  return (
    <>
      <Problem text={problem} />
      {found?.length === 0 && <p class="hint">{empty}</p>}
      {found !== undefined && found.length > 0 && (
        <ul class="cards">
          {found.map((repository) => (
            <Card key={repository.name} repository={repository} />
          ))}
        </ul>
      )}
      {more && (
        <button type="button" disabled={busy} onClick={() => void load(found ?? [])}>
          Show more
        </button>
      )}
    </>
  );
}

function Card({ repository }: { readonly repository: RepositoryCard }) {
  const [newest] = repository.tags;
  return (
    <li class="card">
      <div class="row">
        <h3>
          <a href={`/${repository.name}`}>{repository.name}</a>
        </h3>
        <span class="badge">{repository.private ? 'private' : 'public'}</span>
        {repository.immutable && <span class="badge">immutable tags</span>}
        <span class="facts grow end">{countText(repository.pulls, 'pull')}</span>
      </div>
      <p class="facts">
        {newest === undefined ? (
          'No tags.'
        ) : (
          <>
            <span class="tag">{newest.name}</span> {sizeText(newest.size)}, pushed <Time iso={newest.updated} />
          </>
        )}
      </p>
      {newest !== undefined && <Command text={`gantry run -it --rm ${reference(repository.name, newest.name)}`} />}
    </li>
  );
}
