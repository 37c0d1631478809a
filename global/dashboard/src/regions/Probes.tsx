import { useQuery } from '@tanstack/react-query';
import { Activity, CircleCheck, CircleX, TriangleAlert, type LucideIcon } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { useMe } from '../api/me';
import { LIST_EVERY_MS, type Rows } from '../api/pages';
import { asProblem } from '../api/problem';
import type { Probe } from '../api/types';
import { Trouble } from '../shell/Trouble';
import { Card } from '../ui/Card';
import { Segments } from '../ui/Choices';
import { EmptyState } from '../ui/EmptyState';
import { Freshness, useLive } from '../ui/Freshness';
import { ListCard } from '../ui/ListCard';
import { Section } from '../ui/Section';
import { StatusBadge, type Tone } from '../ui/StatusBadge';
import type { Column } from '../ui/Table';
import { Time } from '../ui/Time';
import { Nothing, StateBadge } from './cells';
import { share, totals } from './chart';
import { ProbeChart } from './ProbeChart';
import { probeSummaryQuery, ranges, type Range } from './queries';

/** How the probes of a region went: over a time as a chart, and one by one. */
export function Probes({ slug, name, list }: { slug: string; name: string; list: Rows<Probe> }) {
  return (
    <>
      <History slug={slug} latest={list.rows?.[0]?.id} />
      <Latest name={name} list={list} />
    </>
  );
}

function History({ slug, latest }: { slug: string; latest: string | undefined }) {
  const [range, setRange] = useState<Range>('day');
  const query = useQuery(probeSummaryQuery(useMe(), slug, range));
  const { refetch } = query;
  const drawn = useRef(latest);
  useEffect(() => {
    if (drawn.current !== undefined && drawn.current !== latest) void refetch();
    drawn.current = latest;
  }, [latest, refetch]);
  const live = useLive(query, LIST_EVERY_MS);
  const { probes, good, failing, missed, median } = totals(query.data?.slots ?? []);
  const said = ranges.find(({ value }) => value === range)?.said;
  const told = [
    `${probes.toLocaleString('en')} probes in ${said}`,
    `${share(good, probes)} good`,
    failing > 0 && `${failing.toLocaleString('en')} failing`,
    missed > 0 && `${missed.toLocaleString('en')} missed`,
    median !== undefined && `typically ${median.toLocaleString('en', { maximumFractionDigits: 1 })} ms`,
  ].filter(Boolean).join(' · ');
  return (
    <Section
      level={2}
      title="Health over time"
      intro={query.data && probes > 0 ? told : 'How the region answered the probes of the global controller.'}
      aside={
        <div className="flex flex-wrap items-center gap-3">
          <Freshness live={live} />
          <Segments legend="Range" name="range" chosen={range} choices={ranges} onChange={(value) => setRange(value as Range)} />
        </div>
      }
    >
      <Card className="p-3">
        {query.isError && !query.data ? (
          <Trouble title="The history could not be loaded" problem={asProblem(query.error)} again={() => void query.refetch()} />
        ) : !query.data ? (
          <div role="status" className="h-54 animate-pulse rounded bg-sunken">
            <span className="sr-only">Loading…</span>
          </div>
        ) : probes === 0 ? (
          <EmptyState Icon={Activity} title="No probe in this time">
            A region is probed each 30 seconds from the day its gateway joins.
          </EmptyState>
        ) : (
          <ProbeChart summary={query.data} label={told} stale={live.stale || query.isPlaceholderData} />
        )}
      </Card>
    </Section>
  );
}

const outcomes: Record<string, { word: string; tone: Tone; Icon: LucideIcon }> = {
  good: { word: 'Good', tone: 'ok', Icon: CircleCheck },
  failing: { word: 'Failing', tone: 'warn', Icon: TriangleAlert },
  missed: { word: 'Missed', tone: 'bad', Icon: CircleX },
};

const columns: Column<Probe>[] = [
  { key: 'at', header: 'Probe', rowHeader: true, cell: ({ at }) => <Time at={at} /> },
  { key: 'outcome', header: 'Outcome', cell: ({ outcome }) => <Outcome outcome={outcome} /> },
  { key: 'health', header: 'Health after it', wide: true, cell: ({ health }) => <StateBadge state={health} /> },
  { key: 'latency', header: 'Latency', align: 'right', cell: ({ latency_ms: ms }) => (ms == null ? <Nothing says="not measured" /> : `${ms.toLocaleString('en', { maximumFractionDigits: ms < 10 ? 1 : 0 })} ms`) },
  { key: 'reason', header: 'Reason', width: 'w-2/5', wide: true, cell: ({ reason }) => (reason ? <span className="text-sm text-mute">{reason}</span> : <Nothing says="none" />) },
];

function Outcome({ outcome }: { outcome: string }) {
  const { word, tone, Icon } = outcomes[outcome] ?? { word: outcome, tone: 'off' as const, Icon: Activity };
  return <StatusBadge word={word} tone={tone} Icon={Icon} />;
}

function Latest({ name, list }: { name: string; list: Rows<Probe> }) {
  return (
    <Section level={2} title="Probes" intro="Newest first; kept for 30 days." aside={<Freshness live={list.live} />}>
      <ListCard
        list={list}
        caption={`Probes of ${name}`}
        columns={columns}
        rowKey={({ id }) => id}
        what="The probes"
        empty={
          <EmptyState Icon={Activity} title="Not probed yet">
            The first probe comes within 30 seconds after its gateway has joined.
          </EmptyState>
        }
      />
    </Section>
  );
}
