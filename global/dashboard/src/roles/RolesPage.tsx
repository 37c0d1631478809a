import { Link } from '@tanstack/react-router';
import { Building2, Plus, SearchX } from 'lucide-react';
import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { useLiveList } from '../api/live';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { LIST_EVERY_MS } from '../api/pages';
import { asProblem } from '../api/problem';
import type { Role } from '../api/types';
import { links } from '../links';
import { membershipsQuery } from '../people/queries';
import { Trouble } from '../shell/Trouble';
import { Button } from '../ui/Button';
import { ButtonLink } from '../ui/ButtonLink';
import { Card } from '../ui/Card';
import { EmptyState } from '../ui/EmptyState';
import { Freshness } from '../ui/Freshness';
import { Page } from '../ui/Page';
import { Search } from '../ui/Search';
import { Table, type Column } from '../ui/Table';
import { rolesPath, rolesQuery } from './queries';
import { roleWord, scopeWord } from './words';

/** The roles that can be given in the tenant in force: its own, and those that every tenant has. */
export function RolesPage() {
  const me = useMe();
  const { query, live } = useLiveList(rolesQuery(me), rolesPath, LIST_EVERY_MS);
  const members = useQuery({ ...membershipsQuery(me), enabled: me.tenant != null && may(me, 'membership.list') });
  const [search, setSearch] = useState('');
  const words = search.toLowerCase();
  const rows = words ? query.data?.filter(({ name, description }) => `${name} ${roleWord(name)} ${description ?? ''}`.toLowerCase().includes(words)) : query.data;
  const holders = (role: Role) => members.data?.filter(({ roles }) => roles.includes(role.name)).length;
  const columns: Column<Role>[] = [
    { key: 'name', header: 'Role', rowHeader: true, width: 'md:w-1/2', sort: ({ name }) => roleWord(name), cell: (role) => <Name role={role} /> },
    { key: 'kind', header: 'Made by', wide: true, sort: ({ kind }) => kind, cell: ({ kind }) => (kind === 'preset' ? <span className="text-mute">Exarch</span> : 'Your tenant') },
    { key: 'scope', header: 'Given in', sort: ({ scope }) => scope, cell: ({ scope }) => scopeWord(scope) },
    { key: 'holds', header: 'Permissions', align: 'right', wide: true, sort: ({ permissions }) => permissions.length, cell: ({ permissions }) => permissions.length },
    ...(members.data ? [{ key: 'who', header: 'People', align: 'right' as const, sort: (role: Role) => (role.scope === 'tenant' ? holders(role) : undefined), cell: (role: Role) => <Holders role={role} n={holders(role)} /> }] : []),
  ];
  return (
    <Page
      title="Roles"
      intro={me.tenant && `What can be given to people of ${me.tenant.name}.`}
      actions={
        <>
          <ButtonLink to={links.permissions}>Compare roles</ButtonLink>
          {may(me, 'role.create') && (
            <ButtonLink look="primary" to={links.newRole}>
              <Plus size={16} aria-hidden />
              Make a role
            </ButtonLink>
          )}
        </>
      }
    >
      <div>
        <div className="mb-3 flex flex-wrap items-center gap-3">
          <Search label="Search roles by name or purpose" placeholder="Search by name or purpose" value={search} onSearch={setSearch} />
          <div className="ml-auto">
            <Freshness live={live} />
          </div>
        </div>
        <Card>
          {!me.tenant ? (
            <EmptyState Icon={Building2} title="No tenant is in force">
              Choose one at the top of the page to see its roles.
            </EmptyState>
          ) : query.isError && !query.data ? (
            <Trouble title="The roles could not be loaded" problem={asProblem(query.error)} again={() => void query.refetch()} />
          ) : rows?.length === 0 ? (
            <EmptyState Icon={SearchX} title="No role matches" action={<Button onClick={() => setSearch('')}>Show all</Button>}>
              No role of {me.tenant.name} has this in its name or purpose.
            </EmptyState>
          ) : (
            <Table caption="Roles" columns={columns} rows={rows} rowKey={({ name }) => name} stale={live.stale} />
          )}
        </Card>
      </div>
    </Page>
  );
}

function Name({ role: { name, description } }: { role: Role }) {
  return (
    <>
      <Link to={links.role} params={{ name }} className="rounded font-medium break-words hover:underline">
        {roleWord(name)}
      </Link>
      {description && <span className="block text-sm text-mute">{description}</span>}
    </>
  );
}

/** Who has it in one cluster only that cluster's region knows. */
function Holders({ role, n = 0 }: { role: Role; n?: number }) {
  if (role.scope === 'tenant') return <>{n}</>;
  return (
    <span className="text-mute" title="Given in single clusters: their regions know to whom.">
      by cluster
    </span>
  );
}
