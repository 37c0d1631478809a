import { useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, data, once } from '../api/client';
import { useMe } from '../api/me';
import type { Role } from '../api/types';
import { links } from '../links';
import { Card } from '../ui/Card';
import { Radios } from '../ui/Choices';
import { Field } from '../ui/Field';
import { Form } from '../ui/Form';
import { chosen, missing, optional, text } from '../ui/form-state';
import { Notice } from '../ui/Notice';
import { Page, Skeleton } from '../ui/Page';
import { toast } from '../ui/Toasts';
import { PermissionPicker, permissionsCheck } from './PermissionPicker';
import { rolesQuery } from './queries';
import { beyond, beyondWord, roleWord } from './words';

const route = getRouteApi('/shell/new/role');
const back = { to: links.roles, label: 'Roles' } as const;

/** A role of the tenant's own, out of what one holds oneself; perhaps beginning with what another one holds. */
export function NewRolePage() {
  const { from } = route.useSearch();
  const me = useMe();
  const roles = useQuery({ ...rolesQuery(me), enabled: from !== undefined && me.tenant != null });
  if (roles.isLoading) return <Skeleton />;
  return <Filled key={from} from={roles.data?.find(({ name }) => name === from)} />;
}

function Filled({ from }: { from: Role | undefined }) {
  const me = useMe();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [scope, setScope] = useState(from?.scope ?? 'tenant');
  const lacking = from ? beyond(from, me.held) : [];
  return (
    <Page title="Make a role" back={back} intro={me.tenant && `For ${me.tenant.name}, out of what you hold yourself.`} narrow>
      <Card className="p-5">
        <Form<Role>
          guarded
          submit="Make role"
          busyLabel="Making…"
          cancel={() => void navigate({ to: links.roles })}
          check={(form) => [...missing(form, { '/name': 'Enter a name' }), ...permissionsCheck(form)]}
          send={(form, key) => data(api.POST('/v1/roles', {
            params: once(key),
            body: { name: text(form, '/name'), scope: scope === 'cluster' ? 'cluster' : 'tenant', description: optional(form, '/description'), permissions: chosen(form, '/permissions') },
          }))}
          done={({ name }) => {
            toast(`The role ${name} is made.`);
            void client.invalidateQueries({ queryKey: ['roles'] });
            void navigate({ to: links.role, params: { name } });
          }}
        >
          {from && <Notice kind="info">{`Begins with what ${roleWord(from.name)} holds${lacking.length > 0 ? `, without what you do not hold. ${beyondWord(lacking)}` : '.'}`}</Notice>}
          <Field label="Name" name="/name" hint="Lower-case letters, digits and hyphens. It stays." autoComplete="off" autoCapitalize="none" spellCheck={false} autoFocus className="font-mono" />
          <Field label="Purpose" name="/description" maxLength={500} hint="For people who give it." autoComplete="off" />
          <Radios
            legend="Given in"
            name="scope"
            chosen={scope}
            onChange={setScope}
            choices={[
              { value: 'tenant', label: 'The tenant', note: 'By a membership: in all clusters of the tenant, and for its people and settings.' },
              { value: 'cluster', label: 'One cluster', note: 'By a binding in the region of the cluster: in that cluster and nowhere else.' },
            ]}
          />
          <PermissionPicker key={scope} scope={scope} chosen={from?.permissions ?? []} />
        </Form>
      </Card>
    </Page>
  );
}
