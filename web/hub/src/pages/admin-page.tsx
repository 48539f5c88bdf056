import { useState } from 'preact/hooks';
import { ask, withQuery } from '../hub-api.ts';
import type { AdminAccounts, Records } from '../hub-types.ts';
import { textsOf, useAction, useLoaded } from '../loading.ts';
import { CardForm } from '../parts/card-form.tsx';
import { Command } from '../parts/command.tsx';
import { ConfirmButton } from '../parts/confirm-button.tsx';
import { Field } from '../parts/field.tsx';
import { Problem } from '../parts/problem.tsx';
import { RecordTable } from '../parts/record-table.tsx';
import { useTitle } from '../title.ts';
import { sizeText } from '../units.ts';

/** For whoever runs the hub: accounts and their limits, invitations, records. */
export function AdminPage() {
  useTitle('Admin');
  const accounts = useLoaded<AdminAccounts>('admin/accounts');
  const records = useLoaded<Records>('admin/audit');
  if (accounts.data === undefined) return <Problem text={accounts.problem} />;
  return (
    <>
      <h1>This hub</h1>
      <Invitation />
      <section aria-labelledby="accounts">
        <h2 id="accounts">Accounts</h2>
        <ul class="cards">
          {accounts.data.accounts.map((account) => (
            <AccountRow key={account.name} account={account} changed={accounts.reload} />
          ))}
        </ul>
      </section>
      <section aria-labelledby="records">
        <h2 id="records">Records</h2>
        {records.data !== undefined && <RecordTable records={records.data} />}
      </section>
    </>
  );
}

function Invitation() {
  const [link, setLink] = useState('');
  const { busy, problem, run } = useAction();
  const submit = (form: HTMLFormElement) =>
    run(async () => {
      const uses = Number(textsOf(form)('uses'));
      const { code } = await ask<{ code: string }>('POST', 'admin/invitations', { uses, days: 7 });
      setLink(`${location.origin}/sign-up?invitation=${code}`);
    });
  return (
    <CardForm submit={submit}>
      <h2>Invite to this hub</h2>
      <Problem text={problem} />
      <Field
        label="How many accounts it makes, in a week"
        name="uses"
        type="number"
        min={1}
        defaultValue="1"
        required
      />
      <button type="submit" class="primary" disabled={busy}>
        Make a link
      </button>
      {link !== '' && <Command text={link} />}
    </CardForm>
  );
}

function AccountRow({
  account,
  changed,
}: {
  readonly account: AdminAccounts['accounts'][number];
  changed(): Promise<void>;
}) {
  const { name, kind, usage, quota } = account;
  const { busy, problem, run } = useAction();
  const limit = (text: string, factor: number) => (text === '' ? null : Math.round(Number(text) * factor));
  const submit = (form: HTMLFormElement) =>
    run(async () => {
      const text = textsOf(form);
      await ask('PATCH', withQuery('admin/account', { name }), {
        quotaBytes: limit(text('megabytes'), 1e6),
        quotaRepositories: limit(text('repositories'), 1),
      });
      await changed();
    });
  return (
    <li class="card">
      <div class="row">
        <a href={`/${name}`}>{name}</a>
        {kind === 'org' && <span class="badge">organisation</span>}
        {account.admin && <span class="badge">admin</span>}
        <span class="facts grow">
          {sizeText(usage.bytes)}
          {quota.bytes !== null && ` of ${sizeText(quota.bytes)}`}, {usage.repositories}
          {quota.repositories !== null && ` of ${quota.repositories}`} repositories
        </span>
      </div>
      <details>
        <summary>Limits and removal of {name}</summary>
        <CardForm look="stack" submit={submit}>
          <Field
            label="Megabytes; empty for no limit"
            name="megabytes"
            type="number"
            min={0}
            defaultValue={quota.bytes === null ? '' : String(quota.bytes / 1e6)}
          />
          <Field
            label="Repositories; empty for no limit"
            name="repositories"
            type="number"
            min={0}
            defaultValue={quota.repositories === null ? '' : String(quota.repositories)}
          />
          <button type="submit" disabled={busy}>
            Set limits
          </button>
        </CardForm>
        <ConfirmButton
          label={`remove the account ${name} with its repositories`}
          action={async () => {
            await ask('DELETE', withQuery('admin/account', { name }));
            await changed();
          }}
        >
          Remove the account
        </ConfirmButton>
      </details>
      <Problem text={problem} />
    </li>
  );
}
