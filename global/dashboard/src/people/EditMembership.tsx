import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api, data, onlyIf, tagged } from '../api/client';
import { useMe } from '../api/me';
import { myRegionsQuery } from '../api/queries';
import type { Membership } from '../api/types';
import { MomentField } from '../tenants/fields';
import { EditDialog } from '../ui/EditDialog';
import { chosen, instant, localMinute, momentWord, text } from '../ui/form-state';
import { toast } from '../ui/Toasts';
import { RegionsField, regionsCheck, regionsOf, RolesField } from './fields';
import { roleWord } from '../roles/words';

type Values = { '/roles': readonly string[]; '/regions': readonly string[] | null; '/until': string };

/** Other roles, other regions, another end. */
export function EditMembership({ membership, close }: { membership: Membership; close: () => void }) {
  const me = useMe();
  const client = useQueryClient();
  const known = useQuery(myRegionsQuery(me));
  const path = { id: me.tenant?.id ?? '', membership: membership.id };
  const { display_name } = membership.user;
  return (
    <EditDialog<Membership, Values>
      title={`Membership of ${display_name}`}
      intro="Holds here at once, and in connected regions within a second."
      read={() => tagged(api.GET('/v1/tenants/{id}/memberships/{membership}', { params: { path } }))}
      values={({ roles, regions, until }) => ({ '/roles': roles, '/regions': regions ?? null, '/until': localMinute(until) })}
      words={{
        '/roles': { label: 'Roles', say: (roles) => roles.map(roleWord).join(', ') || 'none' },
        '/regions': { label: 'Regions', say: (regions) => regions?.map((id) => known.data?.find((each) => each.id === id)?.name ?? id).join(', ') ?? 'all regions' },
        '/until': { label: 'Until', say: momentWord },
      }}
      typed={(form) => ({ '/roles': chosen(form, '/roles'), '/regions': regionsOf(form) ?? null, '/until': text(form, '/until') })}
      check={regionsCheck}
      fields={(values) => (
        <>
          <RolesField roles={values['/roles']} hint="With none, the person keeps only what is given to them in single clusters." />
          <RegionsField regions={values['/regions']} />
          <MomentField label="Until" name="/until" hint="The membership ends by itself then; open, when left empty." minute={values['/until']} />
        </>
      )}
      save={(changes, tag) => data(api.PATCH('/v1/tenants/{id}/memberships/{membership}', {
        params: { path, ...onlyIf(tag) },
        body: { roles: changes['/roles']?.slice(), regions: changes['/regions'] === null ? null : changes['/regions']?.slice(), until: instant(changes['/until']) },
      }))}
      done={() => {
        toast(`The membership of ${display_name} is changed.`);
        void client.invalidateQueries({ queryKey: ['memberships'] });
        void client.invalidateQueries({ queryKey: ['me'] });
        close();
      }}
      close={close}
    />
  );
}
