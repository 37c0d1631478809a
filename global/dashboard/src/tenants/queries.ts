import { queryOptions } from '@tanstack/react-query';
import { all, api, data } from '../api/client';
import { LIST_EVERY_MS, renewed } from '../api/pages';
import type { Me } from '../api/types';

export const tenantQuery = (me: Me, slug: string) =>
  queryOptions({
    queryKey: ['tenant', me.user.id, slug],
    queryFn: ({ signal }) => data(api.GET('/v1/tenants/{id}', { params: { path: { id: slug } }, signal })),
    refetchInterval: renewed(LIST_EVERY_MS),
  });

export const entitlementsQuery = (me: Me, slug: string) =>
  queryOptions({
    queryKey: ['entitlements', me.user.id, slug],
    queryFn: ({ signal }) => all((query) => api.GET('/v1/tenants/{id}/entitlements', { params: { path: { id: slug }, query }, signal })),
    refetchInterval: renewed(LIST_EVERY_MS),
  });
