import { queryOptions } from '@tanstack/react-query';
import { all, api, data } from '../api/client';
import type { Me } from '../api/types';

export const rolesPath = '/v1/roles';

/** The roles that can be given in the tenant in force: its own, then the presets. */
export const rolesQuery = (me: Me) =>
  queryOptions({
    queryKey: ['roles', me.user.id, me.tenant?.id ?? ''],
    queryFn: ({ signal }) => all((query) => api.GET('/v1/roles', { params: { query }, signal })),
    enabled: me.tenant != null,
  });

/** Everything there is to hold. It changes with the software alone; what one holds oneself is in `me.held`. */
export const catalogueQuery = queryOptions({
  queryKey: ['permissions'],
  queryFn: async ({ signal }) => (await data(api.GET('/v1/permissions', { signal }))).items,
  staleTime: 60_000,
});
