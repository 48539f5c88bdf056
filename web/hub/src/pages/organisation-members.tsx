import { useState } from 'preact/hooks';
import { ask, withQuery } from '../hub-api.ts';
import { type OrganisationView, type Role, roles } from '../hub-types.ts';
import { textsOf, useAction, useLoaded } from '../loading.ts';
import { Avatar } from '../parts/avatar.tsx';
import { CardForm } from '../parts/card-form.tsx';
import { Command } from '../parts/command.tsx';
import { ConfirmButton } from '../parts/confirm-button.tsx';
import { Choice, Field } from '../parts/field.tsx';
import { Problem } from '../parts/problem.tsx';
import { useSession } from '../session.ts';
import { Teams } from './organisation-teams.tsx';

/** Who belongs to an organisation; its owners add, change, invite and remove. */
export function Members({ org }: { readonly org: string }) {
  const { session } = useSession();
  const { data, problem, reload } = useLoaded<OrganisationView>(withQuery('organisation', { org }));
  const { problem: failed, run } = useAction();
  if (data === undefined) return <Problem text={problem} />;
  const owner = data.role === 'owner';
  const change = (action: () => Promise<unknown>) =>
    run(async () => {
      await action();
      await reload();
    });
  return (
    <>
      <section aria-labelledby="members">
        <h2 id="members">Members</h2>
        <Problem text={failed} />
        <ul class="cards">
          {data.members.map(({ account, role }) => (
            <li key={account} class="card row">
              <Avatar name={account} />
              <a class="grow" href={`/${account}`}>
                {account}
              </a>
              {owner ? (
                <select
                  aria-label={`Role of ${account}`}
                  value={role}
                  onChange={(event) => {
                    const chosen = event.currentTarget.value as Role;
                    void change(() =>
                      ask('PUT', withQuery('organisation/member', { org }), { name: account, role: chosen }),
                    );
                  }}
                >
                  {roles.map((one) => (
                    <option key={one}>{one}</option>
                  ))}
                </select>
              ) : (
                <span class="badge">{role}</span>
              )}
              {(owner || account === session.account?.name) && (
                <ConfirmButton
                  label={account === session.account?.name ? `leave ${org}` : `remove ${account} from ${org}`}
                  action={async () => {
                    await ask('DELETE', withQuery('organisation/member', { org, name: account }));
                    await reload();
                  }}
                >
                  {account === session.account?.name ? 'Leave' : 'Remove'}
                </ConfirmButton>
              )}
            </li>
          ))}
        </ul>
      </section>
      {owner && <Invite org={org} changed={reload} invitations={data.invitations} />}
      {owner && (
        <form
          class="card narrow"
          onSubmit={(event) => {
            event.preventDefault();
            const text = textsOf(event.currentTarget);
            void change(() =>
              ask('PUT', withQuery('organisation/member', { org }), { name: text('name'), role: text('role') }),
            );
          }}
        >
          <h2>Add somebody who has an account</h2>
          <Field label="Account name" name="name" required />
          <RoleChoice />
          <button type="submit" class="primary">
            Add
          </button>
        </form>
      )}
      <Teams org={org} view={data} owner={owner} changed={reload} />
    </>
  );
}

export const RoleChoice = () => (
  <Choice label="Role" name="role">
    <option value="reader">reader: pulls what is private</option>
    <option value="contributor">contributor: also pushes new tags</option>
    <option value="writer">writer: also moves and deletes tags</option>
    <option value="owner">owner: also runs it</option>
  </Choice>
);

function Invite({
  org,
  invitations,
  changed,
}: {
  readonly org: string;
  readonly invitations: OrganisationView['invitations'];
  changed(): Promise<void>;
}) {
  const [link, setLink] = useState('');
  const { busy, problem, run } = useAction();
  const submit = (form: HTMLFormElement) =>
    run(async () => {
      const text = textsOf(form);
      const { code } = await ask<{ code: string }>('POST', withQuery('organisation/invitations', { org }), {
        role: text('role'),
        uses: Number(text('uses')),
        days: Number(text('days')),
      });
      setLink(`${location.origin}/join?code=${code}`);
      await changed();
    });
  return (
    <>
      <CardForm submit={submit}>
        <h2>Invite by a link</h2>
        <Problem text={problem} />
        <RoleChoice />
        <Field label="For how many people" name="uses" type="number" min={1} max={10_000} defaultValue="30" required />
        <Field label="For how many days" name="days" type="number" min={1} max={365} defaultValue="14" required />
        <button type="submit" class="primary" disabled={busy}>
          Make a link
        </button>
        {link !== '' && <Command text={link} />}
      </CardForm>
      {invitations.length > 0 && (
        <section aria-labelledby="invitations">
          <h2 id="invitations">Open invitations</h2>
          <ul class="cards">
            {invitations.map(({ id, role, uses, expires }) => (
              <li key={id} class="card row">
                <span class="grow">
                  {uses} more as {role}, until {new Date(expires).toLocaleDateString()}
                </span>
                <ConfirmButton
                  label={`withdraw invitation ${id}`}
                  action={async () => {
                    await ask('DELETE', withQuery('organisation/invitations', { org, id }));
                    await changed();
                  }}
                >
                  Withdraw
                </ConfirmButton>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
