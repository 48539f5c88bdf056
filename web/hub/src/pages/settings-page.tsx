import { ask, withQuery } from '../hub-api.ts';
import type { AccountView } from '../hub-types.ts';
import { textsOf, useAction, useLoaded } from '../loading.ts';
import { announce } from '../parts/announcer.tsx';
import { CardForm } from '../parts/card-form.tsx';
import { Field } from '../parts/field.tsx';
import { Problem } from '../parts/problem.tsx';
import { useSession } from '../session.ts';
import { useTitle } from '../title.ts';
import { sizeText } from '../units.ts';

/** One's own account: a line about it, what it holds, its password. */
export function SettingsPage() {
  useTitle('Settings');
  const { session, reload } = useSession();
  const name = session.account?.name;
  const { data } = useLoaded<AccountView>(name === undefined ? undefined : withQuery('account', { name }));
  const profile = useAction();
  const password = useAction();
  if (session.account === null) return <Problem text="Sign in first." />;
  const saveProfile = async (form: HTMLFormElement) => {
    const about = textsOf(form)('about');
    const isPrivate = form.querySelector<HTMLInputElement>('[name=private]')?.checked ?? false;
    if (!(await profile.run(() => ask('PATCH', 'account', { about, defaultPrivate: isPrivate })))) return;
    await reload();
    announce('Saved');
  };
  const savePassword = async (form: HTMLFormElement) => {
    const text = textsOf(form);
    const change = { old: text('old'), password: text('password') };
    if (!(await password.run(() => ask('POST', 'account/password', change)))) return;
    form.reset();
    announce('The password is changed');
  };
  return (
    <>
      <h1>Settings</h1>
      <CardForm key={data?.name} submit={saveProfile}>
        <h2>Account</h2>
        <Problem text={profile.problem} />
        {data?.usage !== undefined && (
          <p class="facts">
            {sizeText(data.usage.bytes)}
            {data.quota?.bytes !== undefined && ` of ${sizeText(data.quota.bytes)}`} in {data.usage.repositories}
            {data.quota?.repositories !== undefined && ` of ${data.quota.repositories}`} repositories
          </p>
        )}
        <Field label="A line about you" name="about" maxLength={300} defaultValue={data?.about ?? ''} />
        <label class="switch">
          <input type="checkbox" name="private" defaultChecked={session.account.defaultPrivate} /> Make new repositories
          private
        </label>
        <button type="submit" class="primary" disabled={profile.busy}>
          Save
        </button>
      </CardForm>
      <CardForm submit={savePassword}>
        <h2>Password</h2>
        <Problem text={password.problem} />
        <input type="text" hidden autocomplete="username" value={session.account.name} readOnly />
        <Field label="Password now" name="old" type="password" required autocomplete="current-password" />
        <Field
          label="New password"
          name="password"
          type="password"
          required
          minLength={8}
          autocomplete="new-password"
        />
        <p class="hint">All other sessions and logins end with it.</p>
        <button type="submit" class="primary" disabled={password.busy}>
          Change it
        </button>
      </CardForm>
    </>
  );
}
