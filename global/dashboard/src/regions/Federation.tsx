import { Globe, Plus } from 'lucide-react';
import { useLiveList } from '../api/live';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { asProblem } from '../api/problem';
import { federationQuery, REGIONS_EVERY_MS } from '../api/queries';
import type { Region } from '../api/types';
import { links } from '../links';
import { Trouble } from '../shell/Trouble';
import { duration } from '../time';
import { ButtonLink } from '../ui/ButtonLink';
import { Card } from '../ui/Card';
import { EmptyState } from '../ui/EmptyState';
import { Freshness } from '../ui/Freshness';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { Time } from '../ui/Time';
import { Address, Latency, Nothing, RegionName, StateBadge, StateWithNote } from './cells';
import { lookOf } from './state';
import { Passport } from './Passport';

/** Skew over this raises an alarm at the global. */
const SKEW_ALARM_MS = 10_000;

/** Of a region that was removed nothing is known any more, and nothing is wrong with that. */
const isGone = ({ lifecycle }: Region): boolean => lifecycle === 'removed';
const Gone = () => <Nothing says="not known any more" />;

const columns: Column<Region>[] = [
  { key: 'name', header: 'Region', rowHeader: true, sort: (r) => r.name, cell: (r) => <RegionName name={r.name} slug={r.slug} linked /> },
  { key: 'health', header: 'Health', width: 'w-1/3', sort: (r) => lookOf(isGone(r) ? r.lifecycle : r.health).urgency, cell: (r) => <Health region={r} /> },
  { key: 'lifecycle', header: 'Life cycle', sort: (r) => lookOf(r.lifecycle).urgency, cell: (r) => <LifeCycle state={r.lifecycle} /> },
  { key: 'probe', header: 'Last probe', wide: true, sort: (r) => r.last_probe_at, cell: (r) => (r.last_probe_at ? <Time at={r.last_probe_at} /> : <Nothing says="never" />) },
  { key: 'latency', header: 'Latency', align: 'right', wide: true, sort: (r) => r.latency_ms, cell: (r) => (isGone(r) ? <Gone /> : <Latency ms={r.latency_ms} state={r.health} />) },
  { key: 'passport', header: 'Passport', wide: true, sort: (r) => r.passport?.age_seconds, cell: (r) => (isGone(r) ? <Gone /> : <Passport passport={r.passport} />) },
  { key: 'version', header: 'Software', wide: true, sort: (r) => r.software_version, cell: (r) => (r.software_version ? <span className="font-mono text-sm">{r.software_version}</span> : <Nothing says="unknown" />) },
  { key: 'address', header: 'Address', align: 'right', wide: true, cell: (r) => <Address brief name={r.name} url={r.url} state={r.lifecycle} /> },
];

/** Every region of the federation, for provider staff: the fleet's state and nothing of tenants. */
export function Federation({ level }: { level: 1 | 2 }) {
  const me = useMe();
  const registers = may(me, 'region.register');
  const { query, live } = useLiveList(federationQuery(me), '/v1/regions', REGIONS_EVERY_MS);
  const failed = query.isError && !query.data;
  return (
    <Section level={level} title="Federation" intro={<Summary regions={query.data} />} aside={
        <div className="flex flex-wrap items-center gap-3">
          <Freshness live={live} />
          {registers && (
            <ButtonLink to={links.newRegion}>
              <Plus size={16} aria-hidden />
              Register region
            </ButtonLink>
          )}
        </div>
      }>
      <Card>
        {failed ? (
          <Trouble title="The federation could not be loaded" problem={asProblem(query.error)} again={() => void query.refetch()} />
        ) : query.data?.length === 0 ? (
          <EmptyState Icon={Globe} title="No region is registered" action={registers && <ButtonLink to={links.newRegion}>Register the first region</ButtonLink>}>
            A region is a site with a gateway of its own. Tenants work in the regions they are entitled to.
          </EmptyState>
        ) : (
          <Table caption="All regions of the federation" columns={columns} rows={query.data} rowKey={(r) => r.id} initialSort="health" stale={live.stale} />
        )}
      </Card>
    </Section>
  );
}

function Summary({ regions }: { regions: Region[] | undefined }) {
  if (!regions) return <>All regions, for provider staff.</>;
  const active = regions.filter((region) => region.lifecycle === 'active' || region.lifecycle === 'draining');
  const count = (health: string) => active.filter((region) => region.health === health).length;
  const parts = (['unreachable', 'degraded', 'unknown', 'healthy'] as const)
    .map((health) => ({ n: count(health), word: lookOf(health).word.toLowerCase() }))
    .filter(({ n }) => n > 0)
    .map(({ n, word }) => `${n} ${word}`);
  const gone = regions.filter(isGone).length;
  const there = regions.length - gone;
  return <>{[`${there} ${there === 1 ? 'region' : 'regions'}`, ...parts, gone > 0 && `${gone} removed`].filter(Boolean).join(' · ')}</>;
}

function Health({ region }: { region: Region }) {
  if (isGone(region)) return <Gone />;
  const skew = Math.abs(region.skew_ms ?? 0);
  const notes = [region.reason, skew > SKEW_ALARM_MS ? `Its clock is ${duration(skew)} off.` : undefined].filter(Boolean);
  return <StateWithNote state={region.health} note={notes.join(' ') || undefined} />;
}

/** `active` is the rule and stays quiet; every other stage of life stands out. */
function LifeCycle({ state }: { state: string }) {
  return state === 'active' ? <span className="text-mute">{lookOf(state).word}</span> : <StateBadge state={state} />;
}
