import { queryOptions } from '@tanstack/react-query';
import { api, tagged } from '../api/client';
import type { Me } from '../api/types';

export const settingsQuery = (me: Me) => {
  const id = me.tenant?.id ?? '';
  return queryOptions({
    queryKey: ['settings', me.user.id, id],
    queryFn: ({ signal }) => tagged(api.GET('/v1/tenants/{id}/settings', { params: { path: { id } }, signal })),
  });
};
