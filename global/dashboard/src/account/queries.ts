import { queryOptions } from '@tanstack/react-query';
import { api, data } from '../api/client';
import type { Me } from '../api/types';

export const secondFactorQuery = (me: Me) =>
  queryOptions({
    queryKey: ['second-factor', me.user.id],
    queryFn: ({ signal }) => data(api.GET('/v1/me/second-factor', { signal })),
  });
