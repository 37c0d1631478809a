import { api } from '../api/client';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { usePages } from '../api/pages';
import { Sessions } from './Sessions';

/** Where a member is signed in to the tenant in force; sessions in other tenants are not this tenant's to know. */
export function MemberSessions({ user }: { user: { id: string; display_name: string } }) {
  const me = useMe();
  const path = { id: user.id };
  const list = usePages(['sessions', me.user.id, me.tenant?.id ?? '', user.id], { path: `/v1/users/${user.id}/sessions` }, (query, signal) =>
    api.GET('/v1/users/{id}/sessions', { params: { path, query }, signal }),
  );
  const mine = user.id === me.user.id;
  return (
    <Sessions
      title="Sessions"
      intro={`Where ${mine ? 'you are' : `${user.display_name} is`} signed in to ${me.tenant?.name ?? 'the tenant'}.`}
      list={list}
      ends={may(me, 'session.revoke') ? {
        one: (session) => api.DELETE('/v1/users/{id}/sessions/{session}', { params: { path: { ...path, session } } }),
        all: () => api.DELETE('/v1/users/{id}/sessions', { params: { path } }),
        allWord: 'End all sessions',
        consequences: [
          mine ? 'You are signed out of this tenant everywhere, here too.' : `${user.display_name} is signed out of this tenant everywhere, at once.`,
          'Programs with tokens of these sessions are refused, in connected regions within a second.',
          'Signing in again is possible: the account and its roles stay.',
        ],
        several: (sessions) => sessions.length > 0,
      } : undefined}
    />
  );
}
