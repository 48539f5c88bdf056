import { ask } from '../hub-api.ts';
import { textsOf, useAction } from '../loading.ts';
import { go } from '../navigation.ts';
import { CardForm } from '../parts/card-form.tsx';
import { Field } from '../parts/field.tsx';
import { Problem } from '../parts/problem.tsx';
import { useSession } from '../session.ts';
import { useTitle } from '../title.ts';

/** Making an organisation: a class, a team, a company. */
export function NewPage() {
  useTitle('New organisation');
  const { session, reload } = useSession();
  const { busy, problem, run } = useAction();
  const submit = async (form: HTMLFormElement) => {
    const name = textsOf(form)('name');
    if (!(await run(() => ask('POST', 'organisations', { name })))) return;
    await reload();
    go(`/${name}?tab=members`);
  };
  return (
    <CardForm submit={submit}>
      <h1>New class or organisation</h1>
      <p>It has members with roles, repositories of its own and a board. You will own it.</p>
      <Problem text={problem || (session.account === null ? 'Sign in first.' : '')} />
      <Field
        label="Name"
        name="name"
        required
        minLength={2}
        maxLength={39}
        pattern="[a-z0-9]+([_\-][a-z0-9]+)*"
        hint="As an account's name; its images will be called NAME/…."
      />
      <button type="submit" class="primary" disabled={busy || session.account === null}>
        Make it
      </button>
    </CardForm>
  );
}
