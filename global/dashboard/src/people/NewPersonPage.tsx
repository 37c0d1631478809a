import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, data, once } from '../api/client';
import { useMe } from '../api/me';
import type { Invitation, Invited, Membership } from '../api/types';
import { links } from '../links';
import { MomentField } from '../tenants/fields';
import { Button } from '../ui/Button';
import { ButtonLink } from '../ui/ButtonLink';
import { Card } from '../ui/Card';
import { Radios } from '../ui/Choices';
import { Field } from '../ui/Field';
import { Form } from '../ui/Form';
import { chosen, missing, moment, text } from '../ui/form-state';
import { Page } from '../ui/Page';
import { toast } from '../ui/Toasts';
import { RegionsField, regionsCheck, regionsOf, RolesField } from './fields';
import { NewPerson } from './NewPerson';

const back = { to: links.people, label: 'People' } as const;

type Way = 'new' | 'mail' | 'known';

/** The way that is open where another one was refused. */
const instead: Record<string, { way: Way; word: string }> = {
  'email-taken': { way: 'known', word: 'Add this person by their account' },
  'no-mail': { way: 'new', word: 'Make an account with an initial password' },
};

/** Adds a person to the tenant in force: by mail, with an account made here, or by the account they have. */
export function NewPersonPage() {
  const me = useMe();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [account, setAccount] = useState<Way>('new');
  const [made, setMade] = useState<Invited>();
  const tenant = me.tenant?.id ?? '';

  if (made) {
    return (
      <Page title={`${made.display_name} is added`} back={back} narrow>
        <NewPerson person={made} role={`in ${me.tenant?.name ?? 'the tenant'}`} />
        <ButtonLink to={links.people}>Go to people</ButtonLink>
      </Page>
    );
  }

  async function send(form: FormData, key: string): Promise<Invited | Invitation | Membership> {
    const [email, roles] = [text(form, '/email'), chosen(form, '/roles')];
    if (account !== 'known') {
      const body = { email, display_name: text(form, '/display_name'), roles, initial_password: account === 'new' };
      return data(api.POST('/v1/users', { params: once(key), body }));
    }
    const body = { email, roles, regions: regionsOf(form), until: moment(form, '/until') };
    return data(api.POST('/v1/tenants/{id}/memberships', { params: { path: { id: tenant }, ...once(key) }, body }));
  }

  return (
    <Page title="Add a person" back={back} intro={me.tenant && `To ${me.tenant.name}.`} narrow>
      <Card className="p-5">
        <Form<Invited | Invitation | Membership>
          guarded
          submit="Add person"
          busyLabel="Adding…"
          cancel={() => void navigate({ to: links.people })}
          check={(form) => [
            ...missing(form, { '/email': 'Enter the e-mail address' }),
            ...(account !== 'known' ? missing(form, { '/display_name': 'Enter the name' }) : []),
            ...missing(form, { '/roles': 'Choose at least one role' }),
            ...regionsCheck(form),
          ]}
          send={send}
          done={(answer) => {
            void client.invalidateQueries({ queryKey: ['memberships'] });
            if ('expires_at' in answer) {
              void client.invalidateQueries({ queryKey: ['invitations'] });
              toast(`An invitation is on its way to ${answer.email}.`);
              return void navigate({ to: links.people });
            }
            if (!('user' in answer)) return setMade(answer);
            toast(`${answer.user.display_name} is now a member.`);
            void navigate({ to: links.person, params: { id: answer.id } });
          }}
          remedy={({ slug }, over) => {
            const other = instead[slug];
            return other && (
              <Button
                className="mt-2 text-ink"
                onClick={() => {
                  setAccount(other.way);
                  over();
                }}
              >
                {other.word}
              </Button>
            );
          }}
        >
          <Radios
            key={account}
            legend="Account"
            name="account"
            chosen={account}
            onChange={(value) => setAccount(value as Way)}
            choices={[
              { value: 'new', label: 'A new account', note: 'The person signs in for the first time with a password that you pass on.' },
              { value: 'mail', label: 'An invitation by mail', note: 'The person follows a link, and chooses a password if they have no account yet.' },
              { value: 'known', label: 'An account that exists', note: 'The person signs in here already, for another tenant.' },
            ]}
          />
          <div className="grid gap-4 sm:grid-cols-2">
            <Field label="E-mail" name="/email" type="text" inputMode="email" autoComplete="off" autoCapitalize="none" spellCheck={false} autoFocus />
            {account !== 'known' && <Field label="Display name" name="/display_name" autoComplete="off" />}
          </div>
          <RolesField />
          {account === 'known' && (
            <>
              <RegionsField />
              <MomentField label="Until" name="/until" hint="The membership ends by itself then; open, when left empty." />
            </>
          )}
        </Form>
      </Card>
    </Page>
  );
}
