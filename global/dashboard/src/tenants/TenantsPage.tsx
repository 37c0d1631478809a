import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { Building2, Plus, SearchX } from 'lucide-react';
import { api } from '../api/client';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { usePages } from '../api/pages';
import type { Tenant } from '../api/types';
import { links } from '../links';
import { Button } from '../ui/Button';
import { ButtonLink } from '../ui/ButtonLink';
import { Segments } from '../ui/Choices';
import { EmptyState } from '../ui/EmptyState';
import { Freshness } from '../ui/Freshness';
import { ListCard } from '../ui/ListCard';
import { Page } from '../ui/Page';
import { StatusBadge } from '../ui/StatusBadge';
import { Search } from '../ui/Search';
import type { Column } from '../ui/Table';
import { Time } from '../ui/Time';
import { standings, tenantsPath, type TenantsSearch } from './search';
import { lookOfTenant } from './state';

const columns: Column<Tenant>[] = [
  { key: 'name', header: 'Tenant', width: 'w-2/5', rowHeader: true, cell: (tenant) => <TenantLink tenant={tenant} /> },
  { key: 'state', header: 'State', cell: ({ state }) => <TenantState state={state} /> },
  { key: 'since', header: 'Since', wide: true, cell: ({ state_since }) => <Time at={state_since} /> },
  { key: 'created', header: 'Created', wide: true, align: 'right', cell: ({ created_at }) => <Time at={created_at} /> },
];

const route = getRouteApi('/shell/tenants');

/** The register of tenants, for staff: who they are and where they stand, and nothing of what they have. */
export function TenantsPage() {
  const me = useMe();
  const { search, state } = route.useSearch();
  const navigate = useNavigate();
  const list = usePages(['tenants', me.user.id, search ?? '', state ?? ''], { path: tenantsPath(search, state) }, (query, signal) =>
    api.GET('/v1/tenants', { params: { query: { ...query, search, state } }, signal }),
  );
  const narrow = (change: TenantsSearch) =>
    void navigate({ to: links.tenants, search: { search, state, ...change }, replace: true });
  const narrowed = search !== undefined || state !== undefined;
  return (
    <Page
      title="Tenants"
      intro="The register of tenants. What is inside of one only its members see."
      actions={
        may(me, 'tenant.create') && (
          <ButtonLink look="primary" to={links.newTenant}>
            <Plus size={16} aria-hidden />
            Create tenant
          </ButtonLink>
        )
      }
    >
      <div>
        <div className="mb-3 flex flex-wrap items-center gap-3">
          <Search label="Search tenants by name or slug" value={search ?? ''} onSearch={(text) => narrow({ search: text || undefined })} />
          <Segments
            legend="State"
            name="state"
            chosen={state ?? 'all'}
            choices={standings}
            onChange={(value) => narrow({ state: value === 'all' ? undefined : (value as TenantsSearch['state']) })}
          />
          <div className="ml-auto">
            <Freshness live={list.live} />
          </div>
        </div>
        <ListCard
          list={list}
          caption="Tenants"
          columns={columns}
          rowKey={({ id }) => id}
          what="The tenants"
          empty={
            narrowed ? (
              <EmptyState
                Icon={SearchX}
                title="No tenant matches"
                action={<Button onClick={() => narrow({ search: undefined, state: undefined })}>Show all tenants</Button>}
              >
                No tenant has this in its name or slug{state && ', or none stands there'}.
              </EmptyState>
            ) : (
              <EmptyState
                Icon={Building2}
                title="No tenant yet"
                action={may(me, 'tenant.create') && <ButtonLink to={links.newTenant}>Create the first tenant</ButtonLink>}
              >
                A tenant is a customer: its people sign in once and work in the regions it is entitled to.
              </EmptyState>
            )
          }
        />
      </div>
    </Page>
  );
}

function TenantLink({ tenant: { name, slug } }: { tenant: Tenant }) {
  return (
    <span className="inline-flex flex-wrap items-baseline gap-x-2.5">
      <Link to={links.tenant} params={{ slug }} className="rounded font-medium hover:underline">
        {name}
      </Link>
      <span className="font-mono text-xs whitespace-nowrap text-mute">{slug}</span>
    </span>
  );
}

export function TenantState({ state }: { state: string }) {
  const { word, tone, Icon, meaning } = lookOfTenant(state);
  return <StatusBadge tone={tone} word={word} Icon={Icon} title={meaning} />;
}
