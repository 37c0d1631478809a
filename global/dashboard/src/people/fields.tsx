import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useMe } from '../api/me';
import type { FieldError } from '../api/problem';
import { myRegionsQuery } from '../api/queries';
import { Checkboxes, Radios } from '../ui/Choices';
import { chosen } from '../ui/form-state';
import { tenantRoles } from './roles';

export function RolesField({ roles = [] }: { roles?: readonly string[] }) {
  return <Checkboxes legend="Roles" name="/roles" choices={tenantRoles} chosen={roles} />;
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
