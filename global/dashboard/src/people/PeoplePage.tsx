import { Link } from '@tanstack/react-router';
import { SearchX, UserPlus, UserX, Users } from 'lucide-react';
import { useState } from 'react';
import { useLiveList } from '../api/live';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { LIST_EVERY_MS } from '../api/pages';
import { asProblem } from '../api/problem';
import type { Membership } from '../api/types';
import { links } from '../links';
import { Trouble } from '../shell/Trouble';
import { Button } from '../ui/Button';
import { ButtonLink } from '../ui/ButtonLink';
import { Card } from '../ui/Card';
import { EmptyState } from '../ui/EmptyState';
import { Freshness } from '../ui/Freshness';
import { Page } from '../ui/Page';
import { Search } from '../ui/Search';
import { StatusBadge } from '../ui/StatusBadge';
import { Table, type Column } from '../ui/Table';
import { Time, Until } from '../ui/Time';
import { Invitations } from './Invitations';
import { membershipsPath, membershipsQuery } from './queries';
import { roleWord } from '../roles/words';

const columns: Column<Membership>[] = [
  { key: 'name', header: 'Person', rowHeader: true, sort: ({ user }) => user.display_name, cell: (membership) => <Who membership={membership} /> },
  { key: 'roles', header: 'Roles', sort: ({ roles }) => roles.map(roleWord).join(), cell: ({ roles }) => roles.map(roleWord).join(', ') || <span className="text-mute">none</span> },
  { key: 'regions', header: 'Regions', wide: true, sort: ({ regions }) => regions?.length ?? Number.MAX_SAFE_INTEGER, cell: ({ regions }) => <Reach regions={regions} /> },
  { key: 'until', header: 'Until', wide: true, sort: ({ until }) => until, cell: ({ until }) => (until ? <Until at={until} /> : <span className="text-mute">open</span>) },
  { key: 'since', header: 'Member', wide: true, align: 'right', sort: ({ created_at }) => created_at, cell: ({ created_at }) => <Time at={created_at} /> },
];

/** The people of the tenant in force and what each may. */
export function PeoplePage() {
  const me = useMe();
  const { query, live } = useLiveList(membershipsQuery(me), membershipsPath(me), LIST_EVERY_MS);
  const [search, setSearch] = useState('');
  const words = search.toLowerCase();
  const rows = words ? query.data?.filter(({ user }) => `${user.display_name} ${user.email}`.toLowerCase().includes(words)) : query.data;
  const add = may(me, 'user.invite') && may(me, 'membership.grant');
  return (
    <Page
      title="People"
      intro={me.tenant && `Who works in ${me.tenant.name}, and with which roles.`}
      actions={
        add && (
          <ButtonLink look="primary" to={links.newPerson}>
            <UserPlus size={16} aria-hidden />
            Add a person
          </ButtonLink>
        )
      }
    >
      <div>
        <div className="mb-3 flex flex-wrap items-center gap-3">
          <Search label="Search people by name or e-mail" placeholder="Search by name or e-mail" value={search} onSearch={setSearch} />
          <div className="ml-auto">
            <Freshness live={live} />
          </div>
        </div>
        <Card>
          {!me.tenant ? (
            <EmptyState Icon={UserX} title="No tenant is in force">
              Choose one at the top of the page to see its people.
            </EmptyState>
          ) : query.isError && !query.data ? (
            <Trouble title="The people could not be loaded" problem={asProblem(query.error)} again={() => void query.refetch()} />
          ) : rows?.length === 0 ? (
            words ? (
              <EmptyState Icon={SearchX} title="Nobody matches" action={<Button onClick={() => setSearch('')}>Show everybody</Button>}>
                Nobody in {me.tenant.name} has this in their name or address.
              </EmptyState>
            ) : (
              <EmptyState Icon={Users} title="Nobody yet" action={add && <ButtonLink to={links.newPerson}>Add the first person</ButtonLink>}>
                {me.tenant.name} has no members.
              </EmptyState>
            )
          ) : (
            <Table caption="People of the tenant" columns={columns} rows={rows} rowKey={({ id }) => id} initialSort="name" stale={live.stale} />
          )}
        </Card>
      </div>
      {me.tenant && may(me, 'user.list') && <Invitations tenant={me.tenant} />}
    </Page>
  );
}

function Who({ membership: { id, user } }: { membership: Membership }) {
  return (
    <span className="inline-flex flex-wrap items-baseline gap-x-2.5">
      <Link to={links.person} params={{ id }} className="rounded font-medium hover:underline">
        {user.display_name}
      </Link>
      <span className="text-sm break-all text-mute">{user.email}</span>
      {user.state !== 'active' && <Disabled />}
    </span>
  );
}

export const Disabled = () => <StatusBadge tone="off" word="Disabled" Icon={UserX} title="The account cannot sign in." />;

function Reach({ regions }: { regions: Membership['regions'] }) {
  if (!regions) return <span className="text-mute">all</span>;
  return <>{regions.length === 1 ? 'only 1' : `only ${regions.length}`}</>;
}
