import { useQueryClient } from '@tanstack/react-query';
import { MapPinOff, Plus } from 'lucide-react';
import { useState } from 'react';
import { api, data } from '../api/client';
import { useLiveList } from '../api/live';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { LIST_EVERY_MS } from '../api/pages';
import { asProblem } from '../api/problem';
import type { Entitlement, Limits, Tenant } from '../api/types';
import { serverNow, useNow } from '../time';
import { Trouble } from '../shell/Trouble';
import { Button } from '../ui/Button';
import { Card } from '../ui/Card';
import { Confirm } from '../ui/Confirm';
import { EmptyState } from '../ui/EmptyState';
import { Freshness } from '../ui/Freshness';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { Time, Until } from '../ui/Time';
import { toast } from '../ui/Toasts';
import { EditEntitlement } from './EditEntitlement';
import { GrantDialog } from './GrantDialog';
import { entitlementsQuery } from './queries';

type Open = { kind: 'grant' } | { kind: 'edit' | 'end'; entitlement: Entitlement };

/** The regions a tenant may use, from when, until when and how much of each. */
export function Entitlements({ tenant }: { tenant: Tenant }) {
  const me = useMe();
  const { query, live } = useLiveList(entitlementsQuery(me, tenant.slug), `/v1/tenants/${tenant.id}/entitlements`, LIST_EVERY_MS);
  const [open, setOpen] = useState<Open>();
  const over = tenant.state === 'deleting' || tenant.state === 'deleted';
  const grants = may(me, 'entitlement.grant') && !over;
  const ends = may(me, 'entitlement.revoke');
  const columns: Column<Entitlement>[] = [
    { key: 'region', header: 'Region', rowHeader: true, sort: (e) => e.region.slug, cell: (e) => <span className="font-mono whitespace-nowrap">{e.region.slug}</span> },
    { key: 'from', header: 'From', wide: true, sort: (e) => e.from, cell: (e) => <From at={e.from} /> },
    { key: 'until', header: 'Until', sort: (e) => e.until, cell: (e) => (e.until ? <Until at={e.until} /> : <span className="text-mute">open</span>) },
    { key: 'limits', header: 'Limits', width: 'w-1/3', cell: (e) => <Amounts limits={e.limits} /> },
    ...(grants || ends ? [{ key: 'act', header: 'Actions', align: 'right' as const, cell: (e: Entitlement) => (
      <span className="inline-flex justify-end max-sm:flex-col">
        {grants && (
          <Button look="quiet" aria-label={`Change the entitlement to ${e.region.slug}`} onClick={() => setOpen({ kind: 'edit', entitlement: e })}>
            Change…
          </Button>
        )}
        {ends && (
          <Button look="quiet" aria-label={`End the entitlement to ${e.region.slug}`} onClick={() => setOpen({ kind: 'end', entitlement: e })}>
            End…
          </Button>
        )}
      </span>
    ) }] : []),
  ];
  return (
    <Section
      level={2}
      title="Entitlements"
      intro="The regions that the tenant may use. A membership can narrow that further for a person."
      aside={
        <div className="flex flex-wrap items-center gap-3">
          <Freshness live={live} />
          {grants && (
            <Button onClick={() => setOpen({ kind: 'grant' })}>
              <Plus size={16} aria-hidden />
              Entitle to a region
            </Button>
          )}
        </div>
      }
    >
      <Card>
        {query.isError && !query.data ? (
          <Trouble title="The entitlements could not be loaded" problem={asProblem(query.error)} again={() => void query.refetch()} />
        ) : query.data?.length === 0 ? (
          <EmptyState
            Icon={MapPinOff}
            title="Entitled to no region"
            action={grants && <Button onClick={() => setOpen({ kind: 'grant' })}>Entitle it to a region</Button>}
          >
            {over ? 'A tenant that is being deleted is given nothing new.' : 'Its people can sign in and enter no region yet.'}
          </EmptyState>
        ) : (
          <Table caption={`Regions that ${tenant.name} may use`} columns={columns} rows={query.data} rowKey={(e) => e.id} initialSort="region" stale={live.stale} />
        )}
      </Card>
      {open?.kind === 'grant' && (
        <GrantDialog tenant={tenant} taken={(query.data ?? []).map(({ region }) => region.slug)} close={() => setOpen(undefined)} />
      )}
      {open?.kind === 'edit' && <EditEntitlement tenant={tenant} entitlement={open.entitlement} close={() => setOpen(undefined)} />}
      {open?.kind === 'end' && <EndDialog tenant={tenant} entitlement={open.entitlement} close={() => setOpen(undefined)} />}
    </Section>
  );
}

function From({ at }: { at: string }) {
  const begun = Date.parse(at) <= serverNow(useNow());
  return begun ? <Time at={at} /> : <Until at={at} />;
}

const amounts = [['clusters', 'cluster'], ['hosts', 'host'], ['leases', 'lease']] as const;

function Amounts({ limits }: { limits: Limits }) {
  const said = amounts.flatMap(([key, one]) => {
    const n = limits[key];
    return n == null ? [] : [`${n.toLocaleString('en')} ${n === 1 ? one : key}`];
  });
  return said.length > 0 ? <>{said.join(' · ')}</> : <span className="text-mute">none</span>;
}

function EndDialog({ tenant, entitlement, close }: { tenant: Tenant; entitlement: Entitlement; close: () => void }) {
  const client = useQueryClient();
  const { slug } = entitlement.region;
  return (
    <Confirm
      title={`End the entitlement to ${slug}`}
      consequences={[
        `Nobody of ${tenant.name} gets into ${slug} any more; a connected region learns of it within a second.`,
        'What the tenant has there stays in the region and is out of its reach.',
        'A new entitlement can be given later.',
      ]}
      submit="End entitlement"
      busyLabel="Ending…"
      danger
      name={slug}
      send={() => data(api.DELETE('/v1/tenants/{id}/entitlements/{entitlement}', { params: { path: { id: tenant.id, entitlement: entitlement.id } } }))}
      done={() => {
        toast(`${tenant.name} is no longer entitled to ${slug}.`);
        void client.invalidateQueries({ queryKey: ['entitlements'] });
        close();
      }}
      close={close}
    />
  );
}
