import { ask, withQuery } from '../hub-api.ts';
import type { RepositoryView, Tag } from '../hub-types.ts';
import { useLoaded } from '../loading.ts';
import { announce } from '../parts/announcer.tsx';
import { Command } from '../parts/command.tsx';
import { ConfirmButton } from '../parts/confirm-button.tsx';
import { Markdown } from '../parts/markdown.tsx';
import { Problem } from '../parts/problem.tsx';
import { PullPlot } from '../parts/pull-plot.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { Time } from '../parts/time.tsx';
import { useTitle } from '../title.ts';
import { countText, reference, shortDigest, sizeText } from '../units.ts';
import { Compare } from './compare-images.tsx';
import { ImageDetails } from './image-details.tsx';
import { RepositorySettings } from './repository-settings.tsx';

/** A repository: its page, tags, one image in detail, two of them compared, its settings. */
export function RepositoryPage({ name, query }: { readonly name: string; readonly query: URLSearchParams }) {
  useTitle(name);
  const { data, problem, reload } = useLoaded<RepositoryView>(withQuery('repository', { name }));
  if (data === undefined) return <Problem text={problem} />;
  const image = query.get('image');
  const tab = image === null ? (query.get('tab') ?? 'about') : 'image';
  const link = (key: string) => `/${name}?tab=${key}`;
  const [newest] = data.tags;
  const tabs = [
    { key: 'about', text: 'About', href: `/${name}` },
    { key: 'tags', text: `Tags (${data.tags.length})`, href: link('tags') },
    ...(image === null ? [] : [{ key: 'image', text: 'Image', href: `/${name}?${new URLSearchParams({ image })}` }]),
    ...(data.tags.length > 1 ? [{ key: 'compare', text: 'Compare', href: link('compare') }] : []),
    ...(data.actions.includes('manage') ? [{ key: 'settings', text: 'Settings', href: link('settings') }] : []),
  ];
  return (
    <>
      <div class="row head">
        <h1>
          <a href={`/${data.owner}`}>{data.owner}</a>/{name.slice(data.owner.length + 1)}
        </h1>
        <span class="badge">{data.private ? 'private' : 'public'}</span>
        {data.immutable && <span class="badge">immutable tags</span>}
        <span class="facts grow">
          {countText(data.pulls, 'pull')}, updated <Time iso={data.updated} />
        </span>
      </div>
      <Tabs label={`Pages of ${name}`} tabs={tabs} current={tab} />
      {tab === 'image' && image !== null ? (
        <ImageDetails key={image} repository={name} reference={image} />
      ) : tab === 'tags' ? (
        <TagList repository={data} changed={reload} />
      ) : tab === 'compare' ? (
        <Compare
          repository={data}
          from={query.get('from') ?? data.tags[1]?.name}
          to={query.get('to') ?? newest?.name}
        />
      ) : tab === 'settings' ? (
        <RepositorySettings repository={data} changed={reload} />
      ) : (
        <>
          {newest !== undefined && (
            <section aria-labelledby="run">
              <h2 id="run">Run it</h2>
              <Command text={`gantry run -it --rm ${reference(name, newest.name)}`} />
            </section>
          )}
          <section aria-labelledby="pulls">
            <h2 id="pulls">Pulls in {data.perDay.length} days</h2>
            <PullPlot perDay={data.perDay} />
          </section>
          <section aria-label="README" class="card">
            {data.readme === '' ? (
              <p class="hint">
                No words about it yet.{data.actions.includes('manage') && ' Write some in the settings.'}
              </p>
            ) : (
              <Markdown text={data.readme} />
            )}
          </section>
        </>
      )}
    </>
  );
}

function TagList({ repository, changed }: { readonly repository: RepositoryView; changed(): Promise<void> }) {
  const { name, tags, actions } = repository;
  const remove = async (tag: Tag) => {
    await ask('DELETE', withQuery('tag', { name, tag: tag.name }));
    await changed();
    announce(`Deleted ${name}:${tag.name}`);
  };
  return (
    <section aria-labelledby="tags">
      <h2 id="tags">Tags</h2>
      {tags.length === 0 && <p class="hint">There are none.</p>}
      <ul class="cards">
        {tags.map((tag) => (
          <li key={tag.name} class="card">
            <div class="row">
              <h3>
                <a href={`/${name}?${new URLSearchParams({ image: tag.name })}`}>{tag.name}</a>
              </h3>
              <span class="facts grow">
                {sizeText(tag.size)}, pushed <Time iso={tag.updated} />,{' '}
                <code title={tag.digest}>{shortDigest(tag.digest)}</code>
              </span>
              {actions.includes('delete') && !repository.immutable && (
                <ConfirmButton label={`delete the tag ${name}:${tag.name}`} action={() => remove(tag)}>
                  Delete
                </ConfirmButton>
              )}
            </div>
            <Command text={`gantry run -it --rm ${reference(name, tag.name)}`} />
          </li>
        ))}
      </ul>
    </section>
  );
}
