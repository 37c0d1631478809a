import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, data, once } from '../api/client';
import type { CreatedTenant } from '../api/types';
import { links } from '../links';
import { ButtonLink } from '../ui/ButtonLink';
import { Card } from '../ui/Card';
import { Radios } from '../ui/Choices';
import { Field } from '../ui/Field';
import { Form } from '../ui/Form';
import { missing, text } from '../ui/form-state';
import { NameAndSlug } from '../ui/NameAndSlug';
import { Page } from '../ui/Page';
import { NewPerson } from '../people/NewPerson';

/** A new tenant with its first administrator; afterwards what that person needs to get in, this once. */
export function NewTenantPage() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [admin, setAdmin] = useState('now');
  const [made, setMade] = useState<CreatedTenant>();
  const back = { to: links.tenants, label: 'Tenants' } as const;

  if (made) {
    return (
      <Page title={`${made.name} is created`} back={back} narrow>
        {made.admin && <NewPerson person={made.admin} role="its first administrator" />}
        <ButtonLink to={links.tenant} params={{ slug: made.slug }}>
          {made.admin ? 'Go on to its entitlements' : `Go to ${made.name}`}
        </ButtonLink>
      </Page>
    );
  }
  return (
    <Page title="Create tenant" back={back} narrow>
      <Card className="p-5">
        <Form<CreatedTenant>
          guarded
          submit="Create tenant"
          busyLabel="Creating…"
          cancel={() => void navigate({ to: links.tenants })}
          check={(form) => missing(form, {
            '/name': 'Enter a name',
            '/slug': 'Enter a slug',
            ...(admin === 'now' && { '/admin/email': 'Enter the e-mail address', '/admin/display_name': 'Enter the name' }),
          })}
          send={(form, key) => data(api.POST('/v1/tenants', {
            params: once(key),
            body: {
              name: text(form, '/name'),
              slug: text(form, '/slug'),
              ...(admin === 'now' && { admin: { email: text(form, '/admin/email'), display_name: text(form, '/admin/display_name') } }),
            },
          }))}
          done={(answer) => {
            void client.invalidateQueries({ queryKey: ['tenants'] });
            setMade(answer);
          }}
        >
          <NameAndSlug nameHint="For people." slugHint="For addresses and commands. It stays for ever and is never given to another tenant." />
          <Radios
            legend="First administrator"
            name="admin"
            chosen={admin}
            onChange={setAdmin}
            choices={[
              { value: 'now', label: 'Name the person now', note: 'Makes the person an account, or takes the one there is. Further people the administrator adds.' },
              { value: 'none', label: 'Without anybody', note: 'Nobody can enter the tenant, and later no one can be named from outside.' },
            ]}
          />
          {admin === 'now' && (
            <div className="grid gap-4 sm:grid-cols-2">
              <Field label="E-mail" name="/admin/email" type="text" inputMode="email" autoComplete="off" autoCapitalize="none" spellCheck={false} />
              <Field label="Display name" name="/admin/display_name" autoComplete="off" />
            </div>
          )}
        </Form>
      </Card>
    </Page>
  );
}
