import { ask, withQuery } from '../hub-api.ts';
import type { OrganisationView } from '../hub-types.ts';
import { textsOf, useAction } from '../loading.ts';
import { ConfirmButton } from '../parts/confirm-button.tsx';
import { Field } from '../parts/field.tsx';
import { Problem } from '../parts/problem.tsx';
import { RoleChoice } from './organisation-members.tsx';

interface TeamsProps {
  readonly org: string;
  readonly view: OrganisationView;
  readonly owner: boolean;
  changed(): Promise<void>;
}

/** Teams: some members, with a role in some repositories. */
export function Teams({ org, view, owner, changed }: TeamsProps) {
  const { problem, run } = useAction();
  if (view.teams.length === 0 && !owner) return null;
  return (
    <section aria-labelledby="teams">
      <h2 id="teams">Teams</h2>
      <ul class="cards">
        {view.teams.map((team) => (
          <TeamCard key={team.name} org={org} team={team} owner={owner} changed={changed} />
        ))}
      </ul>
      {owner && (
        <form
          class="row"
          onSubmit={(event) => {
            event.preventDefault();
            const form = event.currentTarget;
            void run(async () => {
              await ask('POST', withQuery('organisation/teams', { org }), { name: textsOf(form)('name') });
              form.reset();
              await changed();
            });
          }}
        >
          <input name="name" aria-label="Name of a new team" placeholder="Name of a new team" required class="grow" />
          <button type="submit">Make a team</button>
        </form>
      )}
      <Problem text={problem} />
    </section>
  );
}

function TeamCard({
  org,
  team,
  owner,
  changed,
}: Omit<TeamsProps, 'view'> & { readonly team: OrganisationView['teams'][number] }) {
  const { problem, run } = useAction();
  const send = (path: string, body: unknown) =>
    run(async () => {
      await ask('PUT', withQuery(`organisation/${path}`, { org }), body);
      await changed();
    });
  return (
    <li class="card">
      <div class="row">
        <h3 class="grow">{team.name}</h3>
        {owner && (
          <ConfirmButton
            label={`remove the team ${team.name}`}
            action={async () => {
              await ask('DELETE', withQuery('organisation/teams', { org, team: team.name }));
              await changed();
            }}
          >
            Remove
          </ConfirmButton>
        )}
      </div>
      <p>{team.members.length === 0 ? <span class="hint">Nobody is in it.</span> : team.members.join(', ')}</p>
      <ul>
        {team.grants.map(({ repository, role }) => (
          <li key={repository}>
            {role} in <a href={`/${repository}`}>{repository}</a>{' '}
            {owner && (
              <button type="button" onClick={() => void send('team-grant', { team: team.name, repository })}>
                Take away
              </button>
            )}
          </li>
        ))}
      </ul>
      {owner && (
        <details>
          <summary>Change</summary>
          <form
            class="stack"
            onSubmit={(event) => {
              event.preventDefault();
              const name = textsOf(event.currentTarget)('name');
              void send('team-member', { team: team.name, name, member: !team.members.includes(name) });
            }}
          >
            <Field label="Member to put in, or take out" name="name" required />
            <button type="submit">Change members</button>
          </form>
          <form
            class="stack"
            onSubmit={(event) => {
              event.preventDefault();
              const text = textsOf(event.currentTarget);
              void send('team-grant', { team: team.name, repository: text('repository'), role: text('role') });
            }}
          >
            <Field label="Repository" name="repository" required placeholder={`${org}/…`} />
            <RoleChoice />
            <button type="submit">Give the role</button>
          </form>
        </details>
      )}
      <Problem text={problem} />
    </li>
  );
}
