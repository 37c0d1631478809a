import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useMe } from '../api/me';
import type { FieldError } from '../api/problem';
import { may } from '../api/may';
import { myRegionsQuery } from '../api/queries';
import { rolesQuery } from '../roles/queries';
import { beyond, beyondWord, roleWord } from '../roles/words';
import { Checkboxes, Radios, type Choice } from '../ui/Choices';
import { chosen } from '../ui/form-state';
import { tenantRoles } from './roles';

/** The presets, and the tenant's own roles. One that holds more than who gives it is shown, and not to be given. */
export function RolesField({ roles = [], hint }: { roles?: readonly string[]; hint?: string }) {
  const me = useMe();
  const known = useQuery({ ...rolesQuery(me), enabled: me.tenant != null && may(me, 'role.list') });
  const given = known.data?.filter(({ scope }) => scope === 'tenant') ?? [];
  const choice = (name: string, note: string | undefined): Choice => {
    const role = given.find((each) => each.name === name);
    const lacking = role ? beyond(role, me.held) : [];
    const had = roles.includes(name);
    const why = lacking.length > 0 && `${beyondWord(lacking)}${had ? ' You can only take it away.' : ''}`;
    return { value: name, label: roleWord(name), note: [note, why].filter(Boolean).join(' '), off: lacking.length > 0 && !had };
  };
  const presets = tenantRoles.map(({ value, note }) => choice(value, note));
  const own = given.filter(({ kind }) => kind === 'custom').map(({ name, description }) => choice(name, description));
  // Of roles that cannot be listed, or are there no more, the name is all there is to show.
  const others = roles.filter((name) => ![...presets, ...own].some(({ value }) => value === name)).map((name) => choice(name, undefined));
  return <Checkboxes legend="Roles" name="/roles" choices={[...presets, ...own, ...others]} chosen={roles} hint={hint} />;
}

/** All regions of the tenant, or some. Those offered are the ones that who grants may enter, and those granted already. */
export function RegionsField({ regions }: { regions?: readonly string[] | null }) {
  const known = useQuery(myRegionsQuery(useMe()));
  const [reach, setReach] = useState(regions ? 'some' : 'all');
  const names = new Map(known.data?.map(({ id, name, slug }) => [id, { label: name, note: slug }]));
  const offered = [...new Set([...names.keys(), ...(regions ?? [])])];
  return (
    <div className="space-y-2">
      <Radios
        legend="Regions"
        name="reach"
        chosen={reach}
        onChange={setReach}
        choices={[
          { value: 'all', label: 'All regions', note: 'All that the tenant is entitled to, also later ones.' },
          { value: 'some', label: 'Only some', note: 'And no other, whatever the tenant is entitled to later.' },
        ]}
      />
      {reach === 'some' && (
        <Checkboxes
          legend="Only these"
          name="/regions"
          chosen={regions ?? []}
          choices={offered.map((value) => ({ value, ...(names.get(value) ?? { label: value, note: 'A region that you cannot enter now.' }) }))}
          hint={known.data && offered.length === 0 ? 'There is no region to choose: the tenant is entitled to none.' : undefined}
        />
      )}
    </div>
  );
}

/** Nothing for all of them. */
export const regionsOf = (form: FormData): string[] | undefined => (form.get('reach') === 'some' ? chosen(form, '/regions') : undefined);

/** None of them is no reach, and not what anybody means. */
export const regionsCheck = (form: FormData): FieldError[] =>
  regionsOf(form)?.length === 0 ? [{ pointer: '/regions', reason: 'Choose at least one region, or all regions above' }] : [];
