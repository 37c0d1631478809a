import { ArrowUpRight } from 'lucide-react';
import { consoleLink } from '../links';
import { StatusBadge } from '../ui/StatusBadge';
import { lookOf } from './state';

export function StateBadge({ state }: { state: string }) {
  const { word, tone, Icon, meaning } = lookOf(state);
  return <StatusBadge tone={tone} word={word} Icon={Icon} title={meaning} />;
}

/** A state, and beside it what it means or why it is so. */
export function StateWithNote({ state, note }: { state: string; note?: string }) {
  return (
    <span className="flex flex-wrap items-center gap-x-2.5 gap-y-0.5">
      <StateBadge state={state} />
      {note && <span className="max-w-96 text-sm text-mute">{note}</span>}
    </span>
  );
}

export function RegionName({ name, slug }: { name: string; slug: string }) {
  return (
    <span className="inline-flex flex-wrap items-baseline gap-x-2.5">
      <span className="font-medium">{name}</span>
      <span className="font-mono text-xs whitespace-nowrap text-mute">{slug}</span>
    </span>
  );
}

/** Round trip of the last good probe; a silent region's figure is marked as the last known one. */
export function Latency({ ms, state }: { ms?: number | null; state: string }) {
  if (ms == null) return <Nothing says="not measured" />;
  const known = state === 'unreachable';
  return (
    <span className={known ? 'text-mute' : undefined} title={known ? 'Last known; the region does not answer now.' : undefined}>
      {ms.toLocaleString('en', { maximumFractionDigits: ms < 10 ? 1 : 0 })} ms{known && <span className="sr-only"> (last known)</span>}
    </span>
  );
}

/** The way into the region's own console: a link only where following it can lead somewhere. */
export function ConsoleLink({ name, url, state, brief = false }: { name: string; url?: string | null; state: string; brief?: boolean }) {
  const href = consoleLink(url);
  const { open, meaning } = lookOf(state);
  if (!href || !open) return <Nothing says={open ? 'no console address' : meaning} />;
  return (
    <a
      href={href}
      className="inline-flex items-center gap-1 rounded font-medium whitespace-nowrap text-accent underline-offset-3 hover:underline"
      aria-label={`Open console of ${name}`}
    >
      Open{!brief && <span className="max-sm:hidden"> console</span>}
      <ArrowUpRight size={15} aria-hidden />
    </a>
  );
}

export function Nothing({ says }: { says: string }) {
  return (
    <span className="text-mute">
      <span aria-hidden>–</span>
      <span className="sr-only">{says}</span>
    </span>
  );
}
