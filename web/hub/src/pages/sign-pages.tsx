import { ask } from '../hub-api.ts';
import { textsOf, useAction } from '../loading.ts';
import { go, type Place } from '../navigation.ts';
import { CardForm } from '../parts/card-form.tsx';
import { Field } from '../parts/field.tsx';
import { Problem } from '../parts/problem.tsx';
import { useSession } from '../session.ts';
import { useTitle } from '../title.ts';

/** Only to a page of our own, whatever the address says. */
const next = ({ query }: Place): string => {
  const to = query.get('next') ?? '/';
  return /^\/[^/\\]/.test(to) ? to : '/';
};
const name = {
  label: 'Account name',
  name: 'name',
  required: true,
  minLength: 2,
  maxLength: 39,
  autocomplete: 'username',
  autocapitalize: 'none',
  spellcheck: false,
} as const;

export function SignInPage({ place }: { readonly place: Place }) {
  useTitle('Sign in');
  const { session, reload } = useSession();
  const { busy, problem, run } = useAction();
  const submit = async (form: HTMLFormElement) => {
    const text = textsOf(form);
    const done = await run(() => ask('POST', 'session', { name: text('name'), password: text('password') }));
    if (!done) return form.querySelector<HTMLInputElement>('[type=password]')?.focus();
    await reload();
    go(next(place));
  };
  return (
    <CardForm submit={submit}>
      <h1>Sign in</h1>
      <Problem text={problem} />
      <Field {...name} />
      <Field label="Password" name="password" type="password" required autocomplete="current-password" />
      <button type="submit" class="primary" disabled={busy}>
        Sign in
      </button>
      {session.signUp === 'open' && (
        <p>
          No account yet? <a href="/sign-up">Sign up</a>
        </p>
      )}
    </CardForm>
  );
}

export function SignUpPage({ place }: { readonly place: Place }) {
  useTitle('Sign up');
  const { session, reload } = useSession();
  const { busy, problem, run } = useAction();
  const invitation = place.query.get('invitation') ?? undefined;
  const closed =
    session.signUp === 'closed'
      ? 'Sign-up is closed here. Ask whoever runs this hub for an account.'
      : session.signUp === 'invite' && invitation === undefined
        ? 'Sign-up needs an invitation here. Ask for a link, and open it.'
        : '';
  const submit = async (form: HTMLFormElement) => {
    const text = textsOf(form);
    const done = await run(() =>
      ask('POST', 'accounts', { name: text('name'), password: text('password'), ...(invitation && { invitation }) }),
    );
    if (!done) return;
    await reload();
    go(next(place));
  };
  return (
    <CardForm submit={submit}>
      <h1>Sign up</h1>
      <Problem text={problem || closed} />
      <Field
        {...name}
        pattern="[a-z0-9]+([_\-][a-z0-9]+)*"
        hint="2 to 39 lowercase letters and digits, with “-” or “_” between. Your images will be called NAME/…."
      />
      <Field
        label="Password"
        name="password"
        type="password"
        required
        minLength={8}
        autocomplete="new-password"
        hint="At least 8 characters."
      />
      <button type="submit" class="primary" disabled={busy || closed !== ''}>
        Make the account
      </button>
      <p>
        Have one already? <a href="/sign-in">Sign in</a>
      </p>
    </CardForm>
  );
}
