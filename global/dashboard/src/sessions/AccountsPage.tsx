import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { api, data } from '../api/client';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { usePages } from '../api/pages';
import type { Person } from '../api/types';
import { links } from '../links';
import { tenantQuery } from '../tenants/queries';
import { Button } from '../ui/Button';
import { Card } from '../ui/Card';
import { Confirm } from '../ui/Confirm';
import { Field } from '../ui/Field';
import { Form } from '../ui/Form';
import { missing, text } from '../ui/form-state';
import { Page } from '../ui/Page';
import { toast } from '../ui/Toasts';
import { Disabled } from '../people/PeoplePage';
import { Sessions } from './Sessions';

/** For staff whom somebody asks for help: a person by address, where they are signed in, and ending that or the account. */
export function AccountsPage() {
  const [person, setPerson] = useState<Person>();
  return (
    <Page title="Accounts" intro="A person in whatever tenant: for a lost device, or an account in wrong hands.">
      <Card className="max-w-2xl p-5">
        <Form<Person>
          submit="Find"
          busyLabel="Looking…"
          check={(form) => missing(form, { '/email': 'Enter the address by which the person signs in' })}
          send={(form) => data(api.POST('/v1/federation-users/find', { body: { email: text(form, '/email') } }))}
          done={setPerson}
        >
          <Field label="E-mail of the person" name="/email" type="text" inputMode="email" autoComplete="off" autoCapitalize="none" spellCheck={false} autoFocus />
        </Form>
      </Card>
      {person && <OfPerson key={person.id} person={person} changed={setPerson} />}
    </Page>
  );
}

function OfPerson({ person, changed }: { person: Person; changed: (person: Person) => void }) {
  const me = useMe();
  const path = { id: person.id };
  const list = usePages(['sessions', me.user.id, 'anybody', person.id], { path: `/v1/federation-users/${person.id}/sessions` }, (query, signal) =>
    api.GET('/v1/federation-users/{id}/sessions', { params: { path, query }, signal }),
  );
  return (
    <div>
      <div className="mb-4 flex flex-wrap items-center gap-x-3 gap-y-1">
        <h2 className="text-lg font-semibold">{person.display_name}</h2>
        {person.state !== 'active' && <Disabled />}
        <span className="text-mute">{person.email}</span>
        <code className="font-mono text-xs break-all text-mute">{person.id}</code>
        <span className="ml-auto">
          <Standing person={person} changed={changed} />
        </span>
      </div>
      <Sessions
        title={`Sessions of ${person.display_name}`}
        intro="In all tenants."
        list={list}
        tenantOf={(id) => <TenantLink id={id} />}
        ends={may(me, 'federation_session.revoke') ? {
          one: (session) => api.DELETE('/v1/federation-users/{id}/sessions/{session}', { params: { path: { ...path, session } } }),
          all: () => api.DELETE('/v1/federation-users/{id}/sessions', { params: { path } }),
          allWord: 'End all sessions',
          consequences: [
            `${person.display_name} is signed out of every tenant, at once.`,
            'Programs with tokens of these sessions are refused, in connected regions within a second.',
            'Signing in again is possible: the account and its roles stay.',
          ],
          several: (sessions) => sessions.length > 0,
        } : undefined}
      />
    </div>
  );
}

/** The name of a tenant that who looks need not belong to; its id until that is known, or where it may not be. */
function TenantLink({ id }: { id: string }) {
  const { data: tenant } = useQuery({ ...tenantQuery(useMe(), id), staleTime: Infinity, refetchOnWindowFocus: false });
  if (!tenant) return <span className="font-mono text-xs break-all">{id}</span>;
  return (
    <Link to={links.tenant} params={{ slug: tenant.slug }} className="rounded hover:underline">
      {tenant.name}
    </Link>
  );
}

/** Disabling the account, which is the person's in all tenants at once, and taking that back. */
function Standing({ person, changed }: { person: Person; changed: (person: Person) => void }) {
  const me = useMe();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const active = person.state === 'active';
  const params = { path: { id: person.id } };
  if (!may(me, active ? 'federation_user.disable' : 'federation_user.enable')) return null;
  return (
    <>
      <Button className={active ? 'text-bad' : undefined} onClick={() => setOpen(true)}>
        {active ? 'Disable account…' : 'Enable account…'}
      </Button>
      {open && (
        <Confirm
          title={`${active ? 'Disable' : 'Enable'} the account of ${person.display_name}`}
          consequences={active ? [
            'Every session ends at once, and nobody signs in with the account any more, in whatever tenant.',
            'Tokens are refused in connected regions within a second.',
            'Memberships and roles stay, for when it is enabled again.',
          ] : ['The person signs in again, with the roles there were before.', 'Sessions that ended stay ended.']}
          submit={active ? 'Disable account' : 'Enable account'}
          busyLabel={active ? 'Disabling…' : 'Enabling…'}
          danger={active}
          name={active ? person.email : undefined}
          check={(form) => missing(form, { '/reason': 'Say why, in one sentence' })}
          send={(form) => {
            const body = { reason: text(form, '/reason') };
            return data(active ? api.POST('/v1/federation-users/{id}/disable', { params, body }) : api.POST('/v1/federation-users/{id}/enable', { params, body }));
          }}
          done={(now) => {
            toast(`The account of ${now.display_name} is ${now.state}.`);
            void client.invalidateQueries({ queryKey: ['sessions'] });
            changed(now);
            setOpen(false);
          }}
          close={() => setOpen(false)}
        >
          <Field label="Reason" name="/reason" hint="One sentence for the audit of the provider and of the person’s tenants." maxLength={200} autoComplete="off" autoFocus />
        </Confirm>
      )}
    </>
  );
}
