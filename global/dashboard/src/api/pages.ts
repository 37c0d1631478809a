// Lists that are too long to be fetched whole: page after page, as far as a person asks.
import { useInfiniteQuery, type QueryKey } from '@tanstack/react-query';
import { useLive, type Live } from '../ui/Freshness';
import { data, type Outcome } from './client';
import { asProblem, type Problem } from './problem';

const PAGE = 50;
export const LIST_EVERY_MS = 15_000;

type Page<T> = { items: T[]; next_page_token?: string | null };
type Query = { limit: number; page_token?: string };

export type Rows<T> = {
  /** Undefined until the first answer. */
  rows: T[] | undefined;
  /** Why there is nothing to show at all. */
  problem: Problem | undefined;
  live: Live;
  again: () => void;
  /** Absent on the last page. */
  more: (() => void) | undefined;
  fetchingMore: boolean;
};

/** The pages fetched so far are renewed together, so that a row does not fall between two of them. */
export function usePages<T>(key: QueryKey, page: (query: Query, signal: AbortSignal) => Promise<Outcome<Page<T>>>): Rows<T> {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => data(page(pageParam === undefined ? { limit: PAGE } : { limit: PAGE, page_token: pageParam }, signal)),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_page_token ?? undefined,
    refetchInterval: renewed(LIST_EVERY_MS),
  });
  return {
    rows: query.data?.pages.flatMap(({ items }) => items),
    problem: query.isError && !query.data ? asProblem(query.error) : undefined,
    live: useLive(query, LIST_EVERY_MS),
    again: () => void query.refetch(),
    more: query.hasNextPage ? () => void query.fetchNextPage() : undefined,
    fetchingMore: query.isFetchingNextPage,
  };
}

/** Each so often, but not again what is not there or not ours to see. */
export function renewed(every: number) {
  return ({ state }: { state: { status: string; error: Error | null } }): number | false =>
    state.status === 'error' && [403, 404].includes(asProblem(state.error).status) ? false : every;
}
