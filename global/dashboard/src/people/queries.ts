import { queryOptions } from '@tanstack/react-query';
import { all, api } from '../api/client';
import { LIST_EVERY_MS, renewed } from '../api/pages';
import type { Me } from '../api/types';

/** Whole, since a person is looked for in it; a tenant's people are few against its machines. */
export const membershipsQuery = (me: Me) => {
  const id = me.tenant?.id ?? '';
  return queryOptions({
    queryKey: ['memberships', me.user.id, id],
    queryFn: ({ signal }) => all((query) => api.GET('/v1/tenants/{id}/memberships', { params: { path: { id }, query }, signal })),
    refetchInterval: renewed(LIST_EVERY_MS),
    enabled: id !== '',
  });
};
