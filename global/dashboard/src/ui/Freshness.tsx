import type { UseQueryResult } from '@tanstack/react-query';
import clsx from 'clsx';
import { Radio, TriangleAlert } from 'lucide-react';
import { asProblem } from '../api/problem';
import { POLLED, type Watched } from '../api/watch';
import { absolute, ago, clock, useNow } from '../time';

/** Three missed rounds make data old even when no failure was seen: a sleeping tab, or a call that hangs. */
const MISSED = 3;

export type Live = {
  stale: boolean;
  updatedAt: number;
  /** Changes come by themselves. */
  streamed: boolean;
  sentence?: string;
};

/** How old what a query shows is: a stream vouches for it as long as it is there, else the last poll. `every` is its period in ms. */
export function useLive(query: UseQueryResult<unknown>, every: number, { on, heardAt }: Watched = POLLED): Live {
  const now = useNow();
  const updatedAt = query.dataUpdatedAt > 0 ? Math.max(query.dataUpdatedAt, heardAt) : 0;
  const failed = query.isError && !on;
  const old = !on && updatedAt > 0 && now - updatedAt > MISSED * every;
  return {
    stale: updatedAt > 0 && (failed || old),
    updatedAt,
    streamed: on,
    sentence: failed ? asProblem(query.error).sentence : undefined,
  };
}

/** The age of the figures, always in sight, and the cause when they are old. Announced on the change, not each second. */
export function Freshness({ live }: { live: Live }) {
  const now = useNow();
  if (live.updatedAt === 0) return null;
  const age = ago(now - live.updatedAt);
  const cause = live.sentence ?? 'No answer has come since.';
  return (
    <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1 text-sm">
      <span role="status" className="sr-only">
        {live.stale ? `Last known figures, from ${clock(live.updatedAt)}. ${cause} The page keeps trying.` : ''}
      </span>
      {live.stale && (
        <span className="text-warn" aria-hidden>
          {cause}
        </span>
      )}
      <span
        title={absolute(new Date(live.updatedAt))}
        className={clsx('inline-flex items-center gap-1.5 whitespace-nowrap tabular-nums', live.stale ? 'rounded-full bg-warn-tint py-0.5 pr-2.5 pl-2 text-warn' : 'py-0.5 text-mute')}
      >
        {live.stale ? (
          <>
            <TriangleAlert size={14} aria-hidden />
            <span className="font-medium">Stale</span>
            {`updated ${age}`}
          </>
        ) : (
          <>
            <Radio size={14} aria-hidden />
            {live.streamed ? `Live, as of ${age}` : `Updated ${age}`}
          </>
        )}
      </span>
    </div>
  );
}
