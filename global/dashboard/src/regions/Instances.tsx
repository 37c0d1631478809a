import { useQuery } from '@tanstack/react-query';
import { Server } from 'lucide-react';
import { useMe } from '../api/me';
import { asProblem } from '../api/problem';
import type { Region } from '../api/types';
import { Trouble } from '../shell/Trouble';
import { duration } from '../time';
import { Card } from '../ui/Card';
import { EmptyState } from '../ui/EmptyState';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { Nothing } from './cells';
import { instancesOf, type Instance } from './instances';
import { latestProbesQuery } from './queries';

/** The gateways of a region, as its last answer named them. */
export function Instances({ region }: { region: Region }) {
  const query = useQuery(latestProbesQuery(useMe(), region.slug));
  const told = query.data?.items.find(({ answer }) => answer != null);
  const rows = query.data && instancesOf(told?.answer);
  const behind = (version: number | undefined) => version !== undefined && region.passport != null && version < region.passport.version;
  const columns: Column<Instance>[] = [
    { key: 'id', header: 'Gateway', rowHeader: true, sort: ({ id }) => id, cell: ({ id }) => <span className="font-mono text-sm break-all">{id}</span> },
    { key: 'software', header: 'Software', cell: ({ software }) => <span className="font-mono text-sm">{software}</span> },
    {
      key: 'passport', header: 'Passport', cell: ({ passport }) =>
        passport === undefined ? <Nothing says="none yet" /> : <span className={behind(passport) ? 'text-warn' : undefined}>v{passport}</span>,
    },
    { key: 'heartbeat', header: 'Heartbeat', align: 'right', cell: ({ heartbeat_age }) => `${duration(heartbeat_age * 1000)} before the answer` },
  ];
  return (
    <Section level={2} title="Gateways" intro="The replicas that govern the region, as its last answer named them.">
      <Card>
        {query.isError && !query.data ? (
          <Trouble title="The gateways could not be loaded" problem={asProblem(query.error)} again={() => void query.refetch()} />
        ) : rows?.length === 0 ? (
          <EmptyState Icon={Server} title="No gateway is known">
            None of the last probes was answered.
          </EmptyState>
        ) : (
          <Table caption={`Gateways of ${region.name}`} columns={columns} rows={rows} rowKey={({ id }) => id} initialSort="id" />
        )}
      </Card>
    </Section>
  );
}
