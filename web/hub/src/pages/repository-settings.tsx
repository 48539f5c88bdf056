import { useId } from 'preact/hooks';
import { ask, withQuery } from '../hub-api.ts';
import type { RepositoryView } from '../hub-types.ts';
import { textsOf, useAction } from '../loading.ts';
import { go } from '../navigation.ts';
import { announce } from '../parts/announcer.tsx';
import { CardForm } from '../parts/card-form.tsx';
import { ConfirmButton } from '../parts/confirm-button.tsx';
import { Problem } from '../parts/problem.tsx';

/** Who reads it, whether its tags move, its words about itself, and its end. */
export function RepositorySettings({
  repository,
  changed,
}: {
  readonly repository: RepositoryView;
  changed(): Promise<void>;
}) {
  const { name } = repository;
  const id = useId();
  const { busy, problem, run } = useAction();
  const save = async (form: HTMLFormElement) => {
    const checked = (key: string) => form.querySelector<HTMLInputElement>(`[name=${key}]`)?.checked ?? false;
    const change = { private: checked('private'), immutable: checked('immutable'), readme: textsOf(form)('readme') };
    if (!(await run(() => ask('PATCH', withQuery('repository', { name }), change)))) return;
    await changed();
    announce('Saved');
  };
  return (
    <>
      <CardForm look="card stack" submit={save}>
        <h2>Settings</h2>
        <Problem text={problem} />
        <label class="switch">
          <input type="checkbox" name="private" defaultChecked={repository.private} /> Private: only who belongs to{' '}
          {repository.owner} reads it
        </label>
        <label class="switch">
          <input type="checkbox" name="immutable" defaultChecked={repository.immutable} /> Immutable tags: once pushed,
          they stay
        </label>
        <label for={id}>Words about it, in Markdown</label>
        <textarea id={id} name="readme" rows={12} defaultValue={repository.readme} />
        <button type="submit" class="primary" disabled={busy}>
          Save
        </button>
      </CardForm>
      <section class="card">
        <h2>Remove {name}</h2>
        <p>All its images go with it.</p>
        <ConfirmButton
          label={`remove ${name} with all its images`}
          action={async () => {
            await ask('DELETE', withQuery('repository', { name }));
            go(`/${repository.owner}`);
          }}
        >
          Remove
        </ConfirmButton>
      </section>
    </>
  );
}
