import { api } from '../api/client';
import { useMe } from '../api/me';
import { usePages } from '../api/pages';
import { Sessions } from './Sessions';

/** Where one is signed in oneself. */
export function MySessions() {
  const me = useMe();
  const list = usePages(['sessions', me.user.id, 'mine'], { path: '/v1/me/sessions' }, (query, signal) => api.GET('/v1/me/sessions', { params: { query }, signal }));
  return (
    <Sessions
      title="Sessions"
      intro="Where you are signed in. End what you do not know, then change your password."
      list={list}
      tenantOf={(id) => me.tenants.find((tenant) => tenant.id === id)?.name ?? id}
      ends={{
        one: (id) => api.DELETE('/v1/me/sessions/{id}', { params: { path: { id } } }),
        all: () => api.DELETE('/v1/me/sessions'),
        allWord: 'End all others',
        consequences: [
          'Every session but this one ends at once: other browsers, and programs that you let in.',
          'Their tokens are refused in connected regions within a second.',
        ],
        several: (sessions) => sessions.some(({ current }) => !current),
      }}
    />
  );
}
