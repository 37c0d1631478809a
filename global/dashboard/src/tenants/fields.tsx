import type { Limits } from '../api/types';
import { Field } from '../ui/Field';
import { localMinute, number } from '../ui/form-state';

/** A date with a time, in the zone of who fills it in. */
export function MomentField({ label, name, hint, at }: { label: string; name: string; hint: string; at?: string | null }) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return <Field label={label} name={name} type="datetime-local" hint={`${hint} Time of ${zone}.`} defaultValue={localMinute(at)} />;
}

const kinds = [['clusters', 'Clusters'], ['hosts', 'Hosts'], ['leases', 'Leases']] as const;

/** How much of a region at most. */
export function LimitFields({ limits = {} }: { limits?: Limits }) {
  return (
    <fieldset>
      <legend className="mb-1 font-medium">Limits</legend>
      <p className="mb-2 text-sm text-mute">At most so many in the region; no limit where left empty.</p>
      <div className="grid gap-4 sm:grid-cols-3">
        {kinds.map(([key, label]) => (
          <Field key={key} label={label} name={`/limits/${key}`} type="number" inputMode="numeric" min={0} step={1} defaultValue={limits[key] ?? ''} />
        ))}
      </div>
    </fieldset>
  );
}

export const limitsOf = (form: FormData): Limits => ({
  clusters: number(form, '/limits/clusters'),
  hosts: number(form, '/limits/hosts'),
  leases: number(form, '/limits/leases'),
});
