import { ask, withQuery } from '../hub-api.ts';
import type { OrganisationView } from '../hub-types.ts';
import { textsOf, useAction, useLoaded } from '../loading.ts';
import { go } from '../navigation.ts';
import { announce } from '../parts/announcer.tsx';
import { CardForm } from '../parts/card-form.tsx';
import { ConfirmButton } from '../parts/confirm-button.tsx';
import { Field } from '../parts/field.tsx';
import { Problem } from '../parts/problem.tsx';
import { useSession } from '../session.ts';

/** An organisation's line about itself, what its new repositories are, and its end. */
export function OrganisationSettings({ org }: { readonly org: string }) {
  const { reload: reloadSession } = useSession();
  const { data, problem } = useLoaded<OrganisationView>(withQuery('organisation', { org }));
  const { busy, problem: failed, run } = useAction();
  if (data === undefined) return <Problem text={problem} />;
  const save = async (form: HTMLFormElement) => {
    const about = textsOf(form)('about');
    const defaultPrivate = form.querySelector<HTMLInputElement>('[name=private]')?.checked ?? false;
    if (await run(() => ask('PATCH', withQuery('organisation', { org }), { about, defaultPrivate }))) announce('Saved');
  };
  return (
    <>
      <CardForm submit={save}>
        <h2>Settings</h2>
        <Problem text={failed} />
        <Field label="A line about it" name="about" maxLength={300} defaultValue={data.about} />
        <label class="switch">
          <input type="checkbox" name="private" defaultChecked={data.defaultPrivate} /> Make new repositories private
        </label>
        <button type="submit" class="primary" disabled={busy}>
          Save
        </button>
      </CardForm>
      <section class="card narrow">
        <h2>Remove {org}</h2>
        <p>All its repositories, its board and its records go with it.</p>
        <ConfirmButton
          label={`remove ${org} with all it holds`}
          action={async () => {
            await ask('DELETE', withQuery('organisation', { org }));
            await reloadSession();
            go('/');
          }}
        >
          Remove
        </ConfirmButton>
      </section>
    </>
  );
}
