import type { Place } from '../navigation.ts';
import { RepositoryList } from '../parts/repository-list.tsx';
import { useTitle } from '../title.ts';

/** Repositories whose name has the words that were looked for. */
export function SearchPage({ place }: { readonly place: Place }) {
  const text = place.query.get('q') ?? '';
  useTitle(`Search: ${text}`);
  return (
    <section aria-labelledby="found">
      <h1 id="found">{text === '' ? 'All repositories' : `Repositories with “${text}”`}</h1>
      <RepositoryList query={{ q: text.toLowerCase() }} empty="None that you may read has this in its name." />
    </section>
  );
}
