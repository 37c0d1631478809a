// What the pages ask for. Lists are kept true by streams (`live.ts`); where one is polled, the next poll is the retry of one
// that failed, and the page says meanwhile that what it shows is old.
import { queryOptions } from '@tanstack/react-query';
import { all, api, data } from './client';
import type { Me } from './types';

export const REGIONS_EVERY_MS = 5_000;
const ME_EVERY_MS = 15_000;

export async function readMe(signal?: AbortSignal): Promise<Me> {
  // One after the other: who is not signed in is told so once.
  const me = await data(api.GET('/v1/me', { signal }));
  const catalogue = await data(api.GET('/v1/permissions', { signal }));
  return { ...me, held: catalogue.items.filter(({ held }) => held).map(({ name }) => name) };
}

export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: ({ signal }) => readMe(signal),
  refetchInterval: (query) => (query.state.status === 'error' ? REGIONS_EVERY_MS : ME_EVERY_MS),
});

/** Person and tenant are part of the key: regions of one are never shown under the name of another. */
export const myRegionsQuery = (me: Me) =>
  queryOptions({
    queryKey: ['my-regions', me.user.id, me.tenant?.id ?? null],
    queryFn: ({ signal }) => all((query) => api.GET('/v1/me/regions', { params: { query }, signal })),
  });

export const federationQuery = (me: Me) =>
  queryOptions({
    queryKey: ['regions', me.user.id],
    queryFn: ({ signal }) => all((query) => api.GET('/v1/regions', { params: { query }, signal })),
  });

export const regionQuery = (me: Me, slug: string) =>
  queryOptions({
    queryKey: ['region', me.user.id, slug],
    queryFn: ({ signal }) => data(api.GET('/v1/regions/{slug}', { params: { path: { slug } }, signal })),
  });
