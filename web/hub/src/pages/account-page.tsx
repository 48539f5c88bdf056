import { withQuery } from '../hub-api.ts';
import type { AccountView, Records } from '../hub-types.ts';
import { useLoaded } from '../loading.ts';
import { Avatar } from '../parts/avatar.tsx';
import { Problem } from '../parts/problem.tsx';
import { RecordTable } from '../parts/record-table.tsx';
import { RepositoryList } from '../parts/repository-list.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { Time } from '../parts/time.tsx';
import { useTitle } from '../title.ts';
import { sizeText } from '../units.ts';
import { Members } from './organisation-members.tsx';
import { OrganisationSettings } from './organisation-settings.tsx';

/** A person's page, or an organisation's with its members, teams and settings. */
export function AccountPage({ name, tab }: { readonly name: string; readonly tab: string }) {
  useTitle(name);
  const { data, problem } = useLoaded<AccountView>(withQuery('account', { name }));
  if (data === undefined) return <Problem text={problem} />;
  const member = data.kind === 'org' && data.role !== null;
  const owner = data.kind === 'org' && data.role === 'owner';
  const tabs = [
    { key: 'repositories', text: 'Repositories', href: `/${name}` },
    ...(member
      ? [
          { key: 'board', text: 'Board', href: `/board/${name}` },
          { key: 'members', text: 'Members', href: `/${name}?tab=members` },
        ]
      : []),
    ...(owner
      ? [
          { key: 'settings', text: 'Settings', href: `/${name}?tab=settings` },
          { key: 'records', text: 'Records', href: `/${name}?tab=records` },
        ]
      : []),
  ];
  return (
    <>
      <div class="row head">
        <Avatar name={name} large />
        <div class="grow">
          <h1>{name}</h1>
          <p class="facts">
            {data.about !== '' && <>{data.about} · </>}
            {data.kind === 'org' ? 'organisation' : 'here'} since <Time iso={data.created} />
            {data.usage !== undefined && ` · ${sizeText(data.usage.bytes)}`}
          </p>
        </div>
      </div>
      {tabs.length > 1 && <Tabs label={`Pages of ${name}`} tabs={tabs} current={tab} />}
      {tab === 'members' && member ? (
        <Members org={name} />
      ) : tab === 'settings' && owner ? (
        <OrganisationSettings org={name} />
      ) : tab === 'records' && owner ? (
        <OrganisationRecords org={name} />
      ) : (
        <section aria-labelledby="repositories">
          <h2 id="repositories">Repositories</h2>
          <RepositoryList query={{ of: name }} empty="There are none that you may read." />
        </section>
      )}
    </>
  );
}

function OrganisationRecords({ org }: { readonly org: string }) {
  const { data, problem } = useLoaded<Records>(withQuery('organisation/audit', { org }));
  return (
    <section aria-labelledby="records">
      <h2 id="records">Records</h2>
      <Problem text={problem} />
      {data !== undefined && <RecordTable records={data} />}
    </section>
  );
}
