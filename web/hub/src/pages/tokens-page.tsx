import { useState } from 'preact/hooks';
import { ask, withQuery } from '../hub-api.ts';
import type { PersonalToken } from '../hub-types.ts';
import { textsOf, useAction, useLoaded } from '../loading.ts';
import { CardForm } from '../parts/card-form.tsx';
import { Command } from '../parts/command.tsx';
import { ConfirmButton } from '../parts/confirm-button.tsx';
import { Choice, Field } from '../parts/field.tsx';
import { Problem } from '../parts/problem.tsx';
import { Time } from '../parts/time.tsx';
import { useSession } from '../session.ts';
import { useTitle } from '../title.ts';

const scopes: readonly (readonly [string, string])[] = [
  ['read', 'Pull'],
  ['create', 'Pull, and push new tags; never replace one'],
  ['write', 'Pull and push'],
  ['delete', 'Pull, push and delete'],
];

/** Personal access tokens: made, seen once, looked over, revoked. */
export function TokensPage() {
  useTitle('Tokens');
  const { account } = useSession().session;
  const { data, problem, reload } = useLoaded<{ tokens: readonly PersonalToken[] }>('tokens');
  const [secret, setSecret] = useState('');
  const making = useAction();
  const submit = async (form: HTMLFormElement) => {
    const text = textsOf(form);
    const done = await making.run(async () => {
      const made = await ask<{ secret: string }>('POST', 'tokens', {
        name: text('name'),
        scope: text('scope'),
        ...(text('repository') === '' ? {} : { repository: text('repository') }),
        ...(text('days') === '' ? {} : { days: Number(text('days')) }),
      });
      setSecret(made.secret);
    });
    if (!done) return;
    form.reset();
    await reload();
  };
  return (
    <>
      <h1>Access tokens</h1>
      <p>A token stands in for your password where a machine logs in, and does no more than you say here.</p>
      <Problem text={problem} />
      {secret !== '' && (
        <section class="card" role="status">
          <h2>Your new token</h2>
          <p>It is shown this once. Give it as the password of {account?.name}:</p>
          <Command text={secret} />
        </section>
      )}
      <CardForm submit={submit}>
        <h2>New token</h2>
        <Problem text={making.problem} />
        <Field label="Name" name="name" required maxLength={60} hint="Where it is used, such as “laptop” or “CI”." />
        <Choice label="It may" name="scope">
          {scopes.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </Choice>
        <Field label="In one repository only" name="repository" placeholder="all of mine" />
        <Choice label="For" name="days">
          <option value="30">30 days</option>
          <option value="7">7 days</option>
          <option value="365">a year</option>
          <option value="">ever</option>
        </Choice>
        <button type="submit" class="primary" disabled={making.busy}>
          Make a token
        </button>
      </CardForm>
      {data !== undefined && data.tokens.length > 0 && (
        <section aria-labelledby="tokens">
          <h2 id="tokens">Your tokens</h2>
          <ul class="cards">
            {data.tokens.map((token) => (
              <li key={token.id} class="card row">
                <span class="grow">
                  <strong>{token.name}</strong> <span class="badge">{token.scope}</span>{' '}
                  {token.repository !== null && <code>{token.repository}</code>}
                  <br />
                  <span class="facts">
                    made <Time iso={token.created} />,{' '}
                    {token.used === null ? (
                      'never used'
                    ) : (
                      <>
                        used <Time iso={token.used} />
                      </>
                    )}
                    ,{' '}
                    {token.expires === null
                      ? 'never expires'
                      : `expires ${new Date(token.expires).toLocaleDateString()}`}
                  </span>
                </span>
                <ConfirmButton
                  label={`revoke the token ${token.name}`}
                  action={async () => {
                    await ask('DELETE', withQuery('tokens', { id: token.id }));
                    await reload();
                  }}
                >
                  Revoke
                </ConfirmButton>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
