import { useEffect, useState } from 'preact/hooks';
import { ask, withQuery } from '../hub-api.ts';
import type { Post, RepositoryList, Session } from '../hub-types.ts';
import { textsOf, useAction, useLoaded } from '../loading.ts';
import { announce } from '../parts/announcer.tsx';
import { CardForm } from '../parts/card-form.tsx';
import { Choice } from '../parts/field.tsx';
import { PostCard } from '../parts/post-card.tsx';
import { Problem } from '../parts/problem.tsx';
import { useSession } from '../session.ts';
import { useTitle } from '../title.ts';

/** The class board: what members show one another, live as it comes. */
export function BoardPage({ org }: { readonly org: string }) {
  useTitle(`Board of ${org}`);
  const { session } = useSession();
  const me = session.account;
  const first = useLoaded<{ posts: readonly Post[] }>(withQuery('board', { org }));
  const [posts, setPosts] = useState<readonly Post[]>([]);
  const [live, setLive] = useState(false);
  useEffect(() => {
    if (first.data !== undefined) setPosts(first.data.posts);
  }, [first.data]);

  useEffect(() => {
    const source = new EventSource(`/api/v1/${withQuery('board/events', { org })}`);
    source.addEventListener('open', () => setLive(true));
    source.addEventListener('error', () => setLive(false));
    source.addEventListener('post', (event) => {
      const id = Number(event.data);
      ask<Post>('GET', withQuery('board/post', { org, id })).then(
        (post) => setPosts((before) => placed(before, post)),
        () => setPosts((before) => before.filter((one) => one.id !== id)),
      );
    });
    return () => source.close();
  }, [org]);
  if (first.data === undefined) return <Problem text={first.problem} />;
  const role = me?.organisations.find(({ name }) => name === org)?.role;
  return (
    <>
      <div class="row head">
        <h1>
          Board of <a href={`/${org}`}>{org}</a>
        </h1>
        <span class={live ? 'badge live' : 'badge'}>{live ? 'live' : 'connecting…'}</span>
      </div>
      <Compose org={org} me={me} />
      {posts.length === 0 && <p class="hint">Nothing yet. Be the first to show an image.</p>}
      <ul class="cards" aria-label="Posts">
        {posts.map((post) => (
          <PostCard key={post.id} org={org} post={post} me={me?.name ?? ''} owner={role === 'owner'} />
        ))}
      </ul>
    </>
  );
}

/** The list with a post that is new or changed, the newest first. */
const placed = (posts: readonly Post[], post: Post): readonly Post[] =>
  posts.some(({ id }) => id === post.id)
    ? posts.map((one) => (one.id === post.id ? post : one))
    : [...posts, post].sort((a, b) => b.id - a.id);

function Compose({ org, me }: { readonly org: string; readonly me: Session['account'] }) {
  const mine = useLoaded<RepositoryList>(withQuery('repositories', { of: 'me' }));
  const ours = useLoaded<RepositoryList>(withQuery('repositories', { of: org }));
  const { busy, problem, run } = useAction();
  const images = [...(mine.data?.repositories ?? []), ...(ours.data?.repositories ?? [])].flatMap((repository) =>
    repository.tags.map((tag) => `${repository.name}:${tag.name}`),
  );
  const submit = async (form: HTMLFormElement) => {
    const text = textsOf(form);
    const image = text('image');
    const colon = image.lastIndexOf(':');
    const body = { repository: image.slice(0, colon), tag: image.slice(colon + 1), word: text('word') };
    if (!(await run(() => ask('POST', withQuery('board', { org }), body)))) return;
    form.reset();
    announce('Posted');
  };
  if (me === null) return null;
  if (images.length === 0)
    return (
      <p class="hint">
        To show an image here, push one first: gantry push {location.host}/{me.name}/NAME:TAG
      </p>
    );
  return (
    <CardForm look="card stack" submit={submit}>
      <h2>Show an image</h2>
      <Problem text={problem} />
      <Choice label="Image" name="image">
        {images.map((image) => (
          <option key={image}>{image}</option>
        ))}
      </Choice>
      <label for="word">A word about it</label>
      <textarea id="word" name="word" rows={2} maxLength={1000} required />
      <button type="submit" class="primary" disabled={busy}>
        Post
      </button>
    </CardForm>
  );
}
