// Queries that a stream keeps true. While there is none they are polled, and the age of what is shown says how that goes.
import { useQuery, useQueryClient, type QueryKey, type UseQueryOptions, type UseQueryResult } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useLive, type Live } from '../ui/Freshness';
import { asProblem } from './problem';
import { paged, type Change, type Page } from './stream';
import { useWatch, type Watched } from './watch';

// The key's own type is of no interest here, and no two are the same.
type Options<D> = UseQueryOptions<D, Error, D, any>;

/** How long a list is watched whole; a longer one is polled. */
export const WHOLE = 100;

/** Each so often, but not again what is not there or not ours to see. */
export function renewed(every: number) {
  return ({ state }: { state: { status: string; error: Error | null } }): number | false =>
    state.status === 'error' && [403, 404].includes(asProblem(state.error).status) ? false : every;
}

/** What changes when a stream tells something: other data, or only the server can say which. */
type Take<D, T> = (data: D, change: Change<T>) => D | undefined;

type Kept<D, T> = {
  queryKey: QueryKey;
  /** Where the list is; undefined while it is not to be watched. */
  path: string | undefined;
  take: Take<D, T>;
  again: () => void;
  fetching: boolean;
};

/** Puts what a stream tells into the cache. */
export function useKept<D, T>({ queryKey, path, take, again, fetching }: Kept<D, T>): Watched {
  const client = useQueryClient();
  /** An answer on its way may be older than what the stream has told since. */
  const overtaken = useRef(false);
  const watched = useWatch<T>(path, {
    change: (change) => {
      const before = client.getQueryData<D>(queryKey);
      const after = before === undefined ? undefined : take(before, change);
      if (after !== undefined) client.setQueryData(queryKey, after);
      if (fetching) overtaken.current = true;
      else if (after === undefined) again();
    },
    broken: again,
  });
  useEffect(() => {
    if (fetching || !overtaken.current) return;
    overtaken.current = false;
    again();
  }, [fetching, again]);
  return watched;
}

const keyOf = (item: { id?: string | null; slug?: string; name?: string }): string | undefined => item.id ?? item.slug ?? item.name;

/** A list after a change of it; new items come first, as the server has them. */
export function changedList<T extends object>(items: readonly T[], change: Exclude<Change<T>, { name: 'page' }>): T[] {
  const at = items.findIndex((item) => keyOf(item) === keyOf(change.item));
  if (change.name === 'removed') return items.filter((_, n) => n !== at);
  return at < 0 ? [change.item, ...items] : items.with(at, change.item);
}

type Answer<D> = { query: UseQueryResult<D>; live: Live };

/** A list that is fetched whole. `every` is the period of its poll in ms, where it is polled. */
export function useLiveList<T extends object>(options: Options<T[]>, path: string, every: number): Answer<T[]> {
  return useLiveQuery<T[], T>(options, path, every, {
    covers: ({ next_page_token }) => !next_page_token,
    take: (items, change) => (change.name === 'page' ? change.page.items : changedList(items, change)),
  });
}

/** One thing, which is watched in the list that it is in. */
export function useLiveItem<T extends object>(options: Options<T>, path: string, every: number, is: (item: T) => boolean): Answer<T> {
  return useLiveQuery<T, T>(options, path, every, {
    covers: ({ items }) => items.some(is),
    take: (before, change) => {
      if (change.name === 'page') return change.page.items.find(is);
      if (!is(change.item)) return before;
      return change.name === 'removed' ? undefined : change.item;
    },
  });
}

type Ways<D, T> = { covers: (page: Page<T>) => boolean; take: Take<D, T> };

function useLiveQuery<D, T>(options: Options<D>, path: string, every: number, { covers, take }: Ways<D, T>): Answer<D> {
  const whole = paged(path, WHOLE);
  /** The path whose first page does not hold what is shown. */
  const [tooShort, setTooShort] = useState<string>();
  const [on, setOn] = useState(false);
  const query = useQuery({
    ...options,
    refetchInterval: on ? false : renewed(every),
    refetchOnWindowFocus: on ? false : 'always',
  });
  const { refetch } = query;
  const again = useCallback(() => void refetch(), [refetch]);
  const watched = useKept<D, T>({
    queryKey: options.queryKey,
    path: query.data === undefined || tooShort === whole ? undefined : whole,
    again,
    fetching: query.isFetching,
    take: (data, change) => {
      if (change.name !== 'page' || covers(change.page)) return take(data, change);
      setTooShort(whole);
      return data;
    },
  });
  useEffect(() => setOn(watched.on), [watched.on]);
  return { query, live: useLive(query, every, watched) };
}
