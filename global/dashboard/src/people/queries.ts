import { queryOptions } from '@tanstack/react-query';
import { all, api } from '../api/client';
import type { Me } from '../api/types';

export const membershipsPath = (me: Me): string => `/v1/tenants/${me.tenant?.id ?? ''}/memberships`;

/** Whole, since a person is looked for in it; a tenant's people are few against its machines. */
export const membershipsQuery = (me: Me) => {
  const id = me.tenant?.id ?? '';
  return queryOptions({
    queryKey: ['memberships', me.user.id, id],
    queryFn: ({ signal }) => all((query) => api.GET('/v1/tenants/{id}/memberships', { params: { path: { id }, query }, signal })),
    enabled: id !== '',
  });
};
