import { Server } from 'lucide-react';
import type { Rows } from '../api/pages';
import type { Probe, Region } from '../api/types';
import { Trouble } from '../shell/Trouble';
import { duration } from '../time';
import { Card } from '../ui/Card';
import { EmptyState } from '../ui/EmptyState';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { Nothing } from './cells';
import { instancesOf, type Instance } from './instances';

/** The gateways of a region, as its last answer named them. */
export function Instances({ region, probes }: { region: Region; probes: Rows<Probe> }) {
  const told = probes.rows?.find(({ answer }) => answer != null);
  const rows = probes.rows && instancesOf(told?.answer);
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
        {probes.problem ? (
          <Trouble title="The gateways could not be loaded" problem={probes.problem} again={probes.again} />
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
