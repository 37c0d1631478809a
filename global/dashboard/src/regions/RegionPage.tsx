import { getRouteApi } from '@tanstack/react-router';
import { ExternalLink } from 'lucide-react';
import { useState } from 'react';
import { useLiveItem } from '../api/live';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { asProblem } from '../api/problem';
import { regionQuery, REGIONS_EVERY_MS } from '../api/queries';
import type { Region } from '../api/types';
import { links } from '../links';
import { Trouble } from '../shell/Trouble';
import { Button } from '../ui/Button';
import { Card } from '../ui/Card';
import { CopyText } from '../ui/CopyText';
import { Notice } from '../ui/Notice';
import { Fact, Facts, Page, Skeleton } from '../ui/Page';
import { Time } from '../ui/Time';
import { Latency, Nothing, StateBadge } from './cells';
import { EditRegion } from './EditRegion';
import { Instances } from './Instances';
import { JoinSection } from './JoinSection';
import { Life } from './Life';
import { Passport } from './Passport';
import { Probes } from './Probes';
import { useProbes } from './queries';
import { lookOf } from './state';

const route = getRouteApi('/shell/regions/$slug');
const back = { to: links.home, label: 'Regions' } as const;

/** Days of a certificate from which somebody should look why it is not renewed. */
const FEW_DAYS = 7;
/** Skew over this raises an alarm at the global. */
const SKEW_ALARM_MS = 10_000;

/** One region as the federation sees it: its stage of life, its health now and before, what it told of itself. */
export function RegionPage() {
  const { slug } = route.useParams();
  const me = useMe();
  const { query, live } = useLiveItem(regionQuery(me, slug), '/v1/regions', REGIONS_EVERY_MS, (region) => region.slug === slug);
  if (!query.data) {
    return query.isError ? <Trouble heading="h1" title="The region could not be loaded" problem={asProblem(query.error)} again={() => void query.refetch()} /> : <Skeleton />;
  }
  const region = query.data;
  const removed = region.lifecycle === 'removed';
  const joined = removed ? Boolean(region.last_probe_at) : region.lifecycle !== 'registered';
  return (
    <Page
      title={region.name}
      back={back}
      badge={
        <span className="flex flex-wrap gap-1.5">
          {joined && !removed && <StateBadge state={region.health} />}
          <StateBadge state={region.lifecycle} />
        </span>
      }
      intro={<span className="font-mono text-sm">{region.slug}</span>}
      actions={
        <>
          <Console region={region} />
          <Edit region={region} />
          <Life region={region} />
        </>
      }
      live={live}
    >
      <div className="space-y-3">
        {removed && <Notice kind="info">This region is no longer part of the federation.{joined && ' Its figures are the last that it told.'}</Notice>}
        {region.lifecycle === 'draining' && <Notice kind="warn">It is being drained: what is there goes on, and no tenant is newly entitled to it.</Notice>}
        {region.reason && region.health !== 'healthy' && !removed && <Notice kind={region.health === 'unreachable' ? 'bad' : 'warn'}>{region.reason}</Notice>}
        <Card>
          <Facts>
            <Fact name="Address">
              <CopyText what={`The address of ${region.name}`} text={region.url} />
            </Fact>
            {joined && <Told region={region} />}
            <Fact name="Id">
              <code className="font-mono text-xs break-all">{region.id}</code>
            </Fact>
          </Facts>
        </Card>
      </div>
      {region.lifecycle === 'registered' && <JoinSection region={region} />}
      {joined && <Probed region={region} />}
    </Page>
  );
}

function Probed({ region }: { region: Region }) {
  const probes = useProbes(region.slug);
  return (
    <>
      {region.lifecycle !== 'removed' && <Instances region={region} probes={probes} />}
      <Probes slug={region.slug} name={region.name} list={probes} />
    </>
  );
}

function Edit({ region }: { region: Region }) {
  const [open, setOpen] = useState(false);
  if (!may(useMe(), 'region.update') || region.lifecycle === 'removed') return null;
  return (
    <>
      <Button onClick={() => setOpen(true)}>Edit…</Button>
      {open && <EditRegion region={region} close={() => setOpen(false)} />}
    </>
  );
}

/** A link and nothing more: the console signs in at the global by itself. */
function Console({ region }: { region: Region }) {
  if (!lookOf(region.lifecycle).open) return null;
  return (
    <a
      href={region.console_url}
      rel="noreferrer"
      className="inline-flex items-center gap-1.5 rounded-md border border-edge bg-surface px-3 py-1.5 font-medium hover:bg-sunken"
    >
      <ExternalLink size={15} aria-hidden />
      Open console
    </a>
  );
}

/** What it told with its last answer; of a silent region that is some time ago, and `Last answer` says how long. */
function Told({ region }: { region: Region }) {
  const agents = Object.entries(region.agents ?? {}).filter(([, n]) => n > 0);
  const skew = region.skew_ms;
  const days = region.certificate_days;
  return (
    <>
      <Fact name="Last answer">{region.last_seen ? <Time at={region.last_seen} /> : 'never'}</Fact>
      <Fact name="Last probe">{region.last_probe_at ? <Time at={region.last_probe_at} /> : 'never'}</Fact>
      <Fact name="Latency">
        <Latency ms={region.latency_ms} state={region.health} />
      </Fact>
      <Fact name="Software">{region.software_version ? <span className="font-mono text-sm">{region.software_version}</span> : <Nothing says="unknown" />}</Fact>
      <Fact name="Passport">
        <Passport passport={region.passport} />
      </Fact>
      <Fact name="Certificate">
        {days == null ? <Nothing says="unknown" /> : <span className={days < FEW_DAYS ? 'text-warn' : undefined}>{days === 1 ? '1 day left' : `${days} days left`}</span>}
      </Fact>
      <Fact name="Clock">
        {skew == null ? <Nothing says="unknown" /> : <span className={Math.abs(skew) > SKEW_ALARM_MS ? 'text-warn' : undefined}>{skew === 0 ? 'exact' : `${Math.abs(skew).toLocaleString('en')} ms ${skew > 0 ? 'ahead' : 'behind'}`}</span>}
      </Fact>
      <Fact name="Agents">{region.agents ? agents.map(([state, n]) => `${n.toLocaleString('en')} ${state}`).join(' · ') || 'none' : <Nothing says="unknown" />}</Fact>
      <Fact name="Active leases">{region.leases == null ? <Nothing says="unknown" /> : region.leases.toLocaleString('en')}</Fact>
    </>
  );
}
