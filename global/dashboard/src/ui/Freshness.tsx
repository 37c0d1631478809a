import type { UseQueryResult } from '@tanstack/react-query';
import { Radio, TriangleAlert } from 'lucide-react';
import { asProblem } from '../api/problem';
import { absolute, ago, clock, useNow } from '../time';
import { Notice } from './Notice';

/** Three missed rounds make data old even when no failure was seen: a sleeping tab, or a call that hangs. */
const MISSED = 3;

export type Live = { stale: boolean; updatedAt: number; sentence?: string };

/** How old what a poll shows is. `every` is the poll's period in ms. */
export function useLive(query: UseQueryResult<unknown>, every: number): Live {
  const now = useNow();
  const failed = query.isError;
  const old = query.dataUpdatedAt > 0 && now - query.dataUpdatedAt > MISSED * every;
  return {
    stale: query.dataUpdatedAt > 0 && (failed || old),
    updatedAt: query.dataUpdatedAt,
    sentence: failed ? asProblem(query.error).sentence : undefined,
  };
}

/** The age of the figures, always in sight. */
export function Freshness({ live }: { live: Live }) {
  const now = useNow();
  if (live.updatedAt === 0) return null;
  const age = ago(now - live.updatedAt);
  const title = absolute(new Date(live.updatedAt));
  return live.stale ? (
    <span title={title} className="inline-flex items-center gap-1.5 rounded-full bg-warn-tint py-0.5 pr-2.5 pl-2 text-sm text-warn">
      <TriangleAlert size={14} aria-hidden />
      <span className="font-medium">Stale</span>
      <span className="tabular-nums">updated {age}</span>
    </span>
  ) : (
    <span title={title} className="inline-flex items-center gap-1.5 py-0.5 text-sm text-mute">
      <Radio size={14} aria-hidden />
      <span className="tabular-nums">Updated {age}</span>
    </span>
  );
}

/** Why the figures are old, announced when they become so; not each second. */
export function StaleNotice({ live }: { live: Live }) {
  if (!live.stale) return null;
  return (
    <Notice kind="warn" className="mb-3">
      Last known figures, from {clock(live.updatedAt)}. {live.sentence ?? 'No answer has come since.'} The page keeps trying.
    </Notice>
  );
}
