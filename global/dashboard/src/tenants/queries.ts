import { queryOptions } from '@tanstack/react-query';
import { all, api, data } from '../api/client';
import type { Me } from '../api/types';

export const tenantQuery = (me: Me, slug: string) =>
  queryOptions({
    queryKey: ['tenant', me.user.id, slug],
    queryFn: ({ signal }) => data(api.GET('/v1/tenants/{id}', { params: { path: { id: slug } }, signal })),
  });

export const entitlementsQuery = (me: Me, slug: string) =>
  queryOptions({
    queryKey: ['entitlements', me.user.id, slug],
    queryFn: ({ signal }) => all((query) => api.GET('/v1/tenants/{id}/entitlements', { params: { path: { id: slug }, query }, signal })),
  });
