import { ask, withQuery } from '../hub-api.ts';
import type { Post } from '../hub-types.ts';
import { textsOf, useAction } from '../loading.ts';
import { countText, reference, sizeText } from '../units.ts';
import { Avatar } from './avatar.tsx';
import { CardForm } from './card-form.tsx';
import { Command } from './command.tsx';
import { ConfirmButton } from './confirm-button.tsx';
import { Problem } from './problem.tsx';
import { Time } from './time.tsx';

/** One post: who shows what, how to run it, what others say. */
export function PostCard({
  org,
  post,
  me,
  owner,
}: {
  readonly org: string;
  readonly post: Post;
  readonly me: string;
  readonly owner: boolean;
}) {
  const { id, author, image } = post;
  const { problem, run } = useAction();
  // Of its own: a reaction under way must not keep a comment from being sent.
  const commenting = useAction();
  const path = (what: string, more: Readonly<Record<string, number>> = {}) =>
    withQuery(`board/${what}`, { org, id, ...more });
  const comment = async (form: HTMLFormElement) => {
    const text = textsOf(form)('text');
    if (await commenting.run(() => ask('POST', path('comments'), { text }))) form.reset();
  };
  return (
    <li class="card post">
      <article aria-label={`${author} shows ${image.repository}:${image.tag}`}>
        <div class="row">
          <Avatar name={author} />
          <span class="grow">
            <a href={`/${author}`}>{author}</a> <span class="facts">shows</span>{' '}
            <a href={`/${image.repository}?${new URLSearchParams({ image: image.tag })}`}>
              {image.repository}:{image.tag}
            </a>
            <br />
            <span class="facts">
              <Time iso={post.created} />
              {image.size === undefined
                ? ', the image is not there for you'
                : `, ${sizeText(image.size)}, ${countText(image.pulls ?? 0, 'pull')}`}
            </span>
          </span>
          {(author === me || owner) && (
            <ConfirmButton
              label={`remove the post about ${image.repository}`}
              action={() => ask('DELETE', path('post'))}
            >
              Remove
            </ConfirmButton>
          )}
        </div>
        <p class="word">{post.word}</p>
        <Command text={`gantry run -it --rm ${reference(image.repository, image.tag)}`} />
        <div class="row reactions">
          {post.reactions.map(({ emoji, by }) => (
            <button
              key={emoji}
              type="button"
              aria-pressed={by.includes(me)}
              aria-label={`${emoji} ${by.length}`}
              title={by.join(', ')}
              onClick={() => void run(() => ask('POST', path('reactions'), { emoji }))}
            >
              {emoji} {by.length > 0 && by.length}
            </button>
          ))}
        </div>
        <ul class="comments">
          {post.comments.map((one) => (
            <li key={one.id}>
              <strong>{one.author}</strong>{' '}
              <span class="facts">
                <Time iso={one.created} />
              </span>
              {(one.author === me || owner) && (
                <button
                  type="button"
                  class="quiet"
                  aria-label={`Remove the comment of ${one.author}`}
                  onClick={() => void run(() => ask('DELETE', path('comments', { comment: one.id })))}
                >
                  ×
                </button>
              )}
              <br />
              {one.text}
            </li>
          ))}
        </ul>
        <CardForm look="row" submit={comment}>
          <input
            class="grow"
            name="text"
            required
            maxLength={1000}
            aria-label={`Comment on the post of ${author}`}
            placeholder="Say something"
          />
          <button type="submit" disabled={commenting.busy}>
            Comment
          </button>
        </CardForm>
        <Problem text={problem || commenting.problem} />
      </article>
    </li>
  );
}
