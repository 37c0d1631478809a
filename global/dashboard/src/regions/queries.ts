import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, data } from '../api/client';
import { renewed } from '../api/live';
import { useMe } from '../api/me';
import { usePages, type Rows } from '../api/pages';
import type { Me, Probe } from '../api/types';

const PROBES_EVERY_MS = 15_000;

/** Enough of them to find one that was answered; of a region that is silent for longer nothing is told. */
const LATEST = 20;

export function useProbes(slug: string): Rows<Probe> {
  const me = useMe();
  return usePages(['probes', me.user.id, slug], { path: `/v1/regions/${slug}/probes`, limit: LATEST }, (query, signal) =>
    api.GET('/v1/regions/{slug}/probes', { params: { path: { slug }, query }, signal }),
  );
}

export const ranges = [
  { value: 'hour', label: '1 hour', said: 'the last hour' },
  { value: 'day', label: '24 hours', said: 'the last 24 hours' },
  { value: 'week', label: '7 days', said: 'the last 7 days' },
  { value: 'month', label: '30 days', said: 'the last 30 days' },
] as const;

export type Range = (typeof ranges)[number]['value'];

/** The chart of another range replaces this one when it is there, so that nothing jumps. */
export const probeSummaryQuery = (me: Me, slug: string, range: Range) =>
  queryOptions({
    queryKey: ['probe-summary', me.user.id, slug, range],
    queryFn: ({ signal }) => data(api.GET('/v1/regions/{slug}/probes/summary', { params: { path: { slug }, query: { range } }, signal })),
    refetchInterval: renewed(PROBES_EVERY_MS),
    placeholderData: keepPreviousData,
  });
