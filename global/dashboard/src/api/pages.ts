// Lists that are too long to be fetched whole: page after page, as far as a person asks.
import { useInfiniteQuery, type InfiniteData, type QueryKey } from '@tanstack/react-query';
import { useCallback, useEffect, useState } from 'react';
import { useLive, type Live } from '../ui/Freshness';
import { data, type Outcome } from './client';
import { changedList, renewed, useKept } from './live';
import { asProblem, type Problem } from './problem';
import { paged, type Page } from './stream';

const PAGE = 50;
export const LIST_EVERY_MS = 15_000;

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

/** Where a list is, and how much of it makes a page. */
type Where = { path: string; limit?: number };

/**
 * The first page is watched. Once there are more they are polled together, so that a row does not fall between two of them.
 */
export function usePages<T extends object>(key: QueryKey, { path, limit = PAGE }: Where, page: (query: Query, signal: AbortSignal) => Promise<Outcome<Page<T>>>): Rows<T> {
  const [on, setOn] = useState(false);
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => data(page(pageParam === undefined ? { limit } : { limit, page_token: pageParam }, signal)),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_page_token ?? undefined,
    refetchInterval: on ? false : renewed(LIST_EVERY_MS),
    refetchOnWindowFocus: on ? false : 'always',
  });
  const { refetch } = query;
  const again = useCallback(() => void refetch(), [refetch]);
  const watched = useKept<InfiniteData<Page<T>, string | undefined>, T>({
    queryKey: key,
    path: query.data?.pages.length === 1 ? paged(path, limit) : undefined,
    again,
    fetching: query.isFetching,
    take: (shown, change) => {
      const [first] = shown.pages;
      if (!first || shown.pages.length > 1) return undefined;
      if (change.name === 'page') return { ...shown, pages: [change.page] };
      // Of a page of many only the server knows what comes in the place of what left it.
      if (first.next_page_token && change.name !== 'changed') return undefined;
      return { ...shown, pages: [{ ...first, items: changedList(first.items, change) }] };
    },
  });
  useEffect(() => setOn(watched.on), [watched.on]);
  return {
    rows: query.data?.pages.flatMap(({ items }) => items),
    problem: query.isError && !query.data ? asProblem(query.error) : undefined,
    live: useLive(query, LIST_EVERY_MS, watched),
    again,
    more: query.hasNextPage ? () => void query.fetchNextPage() : undefined,
    fetchingMore: query.isFetchingNextPage,
  };
}
