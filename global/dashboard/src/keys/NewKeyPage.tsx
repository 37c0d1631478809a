import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, data, once } from '../api/client';
import { useMe } from '../api/me';
import { myRegionsQuery } from '../api/queries';
import type { KeyWithSecret } from '../api/types';
import { links } from '../links';
import { rolesQuery } from '../roles/queries';
import { beyond, beyondWord, roleWord } from '../roles/words';
import { MomentField } from '../tenants/fields';
import { ButtonLink } from '../ui/ButtonLink';
import { Card } from '../ui/Card';
import { Radios, Select } from '../ui/Choices';
import { Field } from '../ui/Field';
import { Form } from '../ui/Form';
import { missing, moment, text } from '../ui/form-state';
import { Page, Skeleton } from '../ui/Page';
import { Secret } from './KeysPage';

const back = { to: links.keys, label: 'API keys' } as const;

const ranges = (form: FormData): string[] => text(form, '/cidrs').split(/[\s,]+/).filter(Boolean);

/** A key that rests on one's own membership; its secret is shown this once. */
export function NewKeyPage() {
  const me = useMe();
  const client = useQueryClient();
  const navigate = useNavigate();
  const roles = useQuery(rolesQuery(me));
  const regions = useQuery(myRegionsQuery(me));
  const [kind, setKind] = useState('federated');
  const [made, setMade] = useState<KeyWithSecret>();
  if (made) {
    return (
      <Page title={`${made.name} is made`} back={back} narrow>
        <Secret made={made} />
        <ButtonLink to={links.keys}>Go to API keys</ButtonLink>
      </Page>
    );
  }
  if (roles.isLoading || regions.isLoading) return <Skeleton />;
  const choices = (roles.data ?? []).filter(({ scope }) => scope === 'tenant').map((role) => {
    const lacking = beyond(role, me.held);
    return { value: role.name, label: roleWord(role.name), note: [role.description, lacking.length > 0 && beyondWord(lacking)].filter(Boolean).join(' '), off: lacking.length > 0 };
  });
  return (
    <Page title="Make an API key" back={back} intro={me.tenant && `For a program that works in ${me.tenant.name}. It rests on your membership, and ends with it.`} narrow>
      <Card className="p-5">
        <Form<KeyWithSecret>
          guarded
          submit="Make key"
          busyLabel="Making…"
          cancel={() => void navigate({ to: links.keys })}
          check={(form) => missing(form, { '/name': 'Enter a name', '/role': 'Choose a role', ...(kind === 'regional' && { '/region': 'Choose a region' }) })}
          send={(form, key) => data(api.POST('/v1/api-keys', {
            params: once(key),
            body: {
              name: text(form, '/name'), role: text(form, '/role'), kind: kind === 'regional' ? 'regional' : 'federated', cidrs: ranges(form), expires_at: moment(form, '/expires_at'),
              ...(kind === 'regional' && { region: text(form, '/region') }),
            },
          }))}
          done={(answer) => {
            void client.invalidateQueries({ queryKey: ['api-keys'] });
            setMade(answer);
          }}
        >
          <Field label="Name" name="/name" hint="For people: what the key is for." maxLength={100} autoComplete="off" autoFocus />
          <Radios legend="Role" name="/role" chosen="" choices={choices} hint="What it may do at most. It stays." />
          <Radios
            legend="Where"
            name="kind"
            chosen={kind}
            onChange={setKind}
            choices={[
              { value: 'federated', label: 'All regions', note: 'And the global API. It is checked at the global.' },
              { value: 'regional', label: 'One region', note: 'In that region and nowhere else, also while the global cannot be reached.' },
            ]}
          />
          {kind === 'regional' && <Select label="Region" name="/region" options={(regions.data ?? []).map(({ slug, name }) => ({ value: slug, label: name }))} />}
          <Field label="Only from" name="/cidrs" hint="Ranges of addresses such as 192.0.2.0/24, by spaces; from anywhere, when left empty." autoComplete="off" spellCheck={false} className="font-mono" />
          <MomentField label="Ends" name="/expires_at" hint="By itself then; open, when left empty." />
        </Form>
      </Card>
    </Page>
  );
}
