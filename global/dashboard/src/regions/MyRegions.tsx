import { MapPinOff, UserX } from 'lucide-react';
import { asProblem } from '../api/problem';
import { useLiveList } from '../api/live';
import { useMe } from '../api/me';
import { myRegionsQuery, REGIONS_EVERY_MS } from '../api/queries';
import type { MyRegion } from '../api/types';
import { Trouble } from '../shell/Trouble';
import { Card } from '../ui/Card';
import { EmptyState } from '../ui/EmptyState';
import { Freshness } from '../ui/Freshness';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { Address, Latency, RegionName, StateWithNote } from './cells';
import { lookOf } from './state';

const columns: Column<MyRegion>[] = [
  { key: 'name', header: 'Region', width: 'sm:w-1/4', rowHeader: true, sort: (r) => r.name, cell: (r) => <RegionName name={r.name} slug={r.slug} /> },
  { key: 'state', header: 'State', width: 'sm:w-1/2', sort: (r) => lookOf(r.state).urgency, cell: (r) => <StateWithNote state={r.state} note={r.state === 'healthy' ? undefined : lookOf(r.state).meaning} /> },
  { key: 'latency', header: 'Latency', align: 'right', sort: (r) => r.latency_ms, cell: (r) => <Latency ms={r.latency_ms} state={r.state} /> },
  { key: 'address', header: 'Address', align: 'right', cell: (r) => <Address name={r.name} url={r.url} state={r.state} /> },
];

/** The regions the person may enter in the tenant in force. */
export function MyRegions() {
  const me = useMe();
  const { query, live } = useLiveList(myRegionsQuery(me), '/v1/me/regions', REGIONS_EVERY_MS);
  const failed = query.isError && !query.data;
  return (
    <Section
      level={1}
      title="Regions"
      intro={me.tenant ? <>The regions of {me.tenant.name} that you may enter.</> : undefined}
      aside={<Freshness live={live} />}
    >
      <Card>
        {failed ? (
          <Trouble title="Your regions could not be loaded" problem={asProblem(query.error)} again={() => void query.refetch()} />
        ) : query.data?.length === 0 ? (
          <NoRegion />
        ) : (
          <Table caption="Regions you may enter" columns={columns} rows={query.data} rowKey={(r) => r.slug} initialSort="name" stale={live.stale} />
        )}
      </Card>
    </Section>
  );
}

function NoRegion() {
  const { tenant, tenants } = useMe();
  if (!tenant) {
    return (
      <EmptyState Icon={UserX} title="No tenant is in force">
        {tenants.length > 0
          ? 'Choose one at the top of the page to see its regions.'
          : 'You belong to no tenant, so there is no region of a tenant to enter.'}
      </EmptyState>
    );
  }
  return (
    <EmptyState Icon={MapPinOff} title="No region to enter">
      {tenant.name} has no region that you may enter. An administrator of the tenant can give you one; it appears here
      within seconds.{tenants.length > 1 && ' You can also switch to another tenant at the top of the page.'}
    </EmptyState>
  );
}
