import type { FieldError } from '../api/problem';
import type { Limits } from '../api/types';
import { Field } from '../ui/Field';
import { number, text } from '../ui/form-state';

type Moment = { label: string; name: string; hint: string; /** Local, as `localMinute` has it. */ minute?: string; autoFocus?: boolean };

/** A date with a time, in the zone of who fills it in. */
export function MomentField({ label, name, hint, minute, autoFocus }: Moment) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return <Field label={label} name={name} type="datetime-local" hint={`${hint} Time of ${zone}.`} defaultValue={minute} autoFocus={autoFocus} />;
}

const kinds = [['clusters', 'Clusters'], ['hosts', 'Hosts'], ['leases', 'Leases']] as const;

/** How much of a region at most. */
export function LimitFields({ limits = {} }: { limits?: Partial<Record<keyof Limits, string>> }) {
  return (
    <fieldset>
      <legend className="mb-1 font-medium">Limits</legend>
      <p className="mb-2 text-sm text-mute">At most so many in the region; no limit where left empty.</p>
      <div className="grid gap-4 sm:grid-cols-3">
        {kinds.map(([key, label]) => (
          <Field key={key} label={label} name={`/limits/${key}`} inputMode="numeric" autoComplete="off" defaultValue={limits[key]} />
        ))}
      </div>
    </fieldset>
  );
}

/** A number field of a browser is empty for what is no number, and empty means no limit. */
export const limitsCheck = (form: FormData): FieldError[] =>
  kinds.flatMap(([key]) => (/^\d*$/.test(text(form, `/limits/${key}`)) ? [] : [{ pointer: `/limits/${key}`, reason: 'Enter a whole number, or nothing' }]));

export const limitsOf = (form: FormData): Limits => ({
  clusters: number(form, '/limits/clusters'),
  hosts: number(form, '/limits/hosts'),
  leases: number(form, '/limits/leases'),
});
