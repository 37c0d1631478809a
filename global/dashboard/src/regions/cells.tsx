import { Link } from '@tanstack/react-router';
import { Copy } from 'lucide-react';
import { links } from '../links';
import { copy } from '../ui/copy';
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

/** Linked to its page where that may be seen. */
export function RegionName({ name, slug, linked = false }: { name: string; slug: string; linked?: boolean }) {
  return (
    <span className="inline-flex flex-wrap items-baseline gap-x-2.5">
      {linked ? (
        <Link to={links.region} params={{ slug }} className="rounded font-medium hover:underline">
          {name}
        </Link>
      ) : (
        <span className="font-medium">{name}</span>
      )}
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

/** Where the region answers, for the command line and other tools; pressing it copies it. Brief where space is short, and on narrow screens. */
export function Address({ name, url, state, brief = false }: { name: string; url: string; state: string; brief?: boolean }) {
  const { open, meaning } = lookOf(state);
  if (!open) return <Nothing says={meaning} />;
  return (
    <button
      type="button"
      onClick={() => void copy(url, `The address of ${name}`)}
      aria-label={`Copy the address of ${name}: ${url}`}
      title={`Copy ${url}`}
      className="inline-flex items-center gap-1.5 rounded font-mono text-xs whitespace-nowrap text-mute hover:text-ink"
    >
      {!brief && <span className="max-sm:hidden">{url.replace(/^https?:\/\//, '')}</span>}
      <Copy size={14} aria-hidden />
    </button>
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
