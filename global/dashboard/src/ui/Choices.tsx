import clsx from 'clsx';
import { useId, type ReactNode, type SelectHTMLAttributes } from 'react';
import { useFieldError } from './form-state';

export type Choice = {
  value: string;
  label: string;
  note?: ReactNode;
  /** Shown, and not to be chosen; the note says why. */
  off?: boolean;
};

type Group = {
  legend: string;
  name: string;
  choices: readonly Choice[];
  hint?: ReactNode;
};

/** Several of some: boxes with what each means beside it. */
export function Checkboxes({ chosen = [], ...group }: Group & { chosen?: readonly string[] }) {
  return <Boxes {...group} type="checkbox" isChosen={(value) => chosen.includes(value)} />;
}

/** One of some. */
export function Radios({ chosen, onChange, ...group }: Group & { chosen: string; onChange?: (value: string) => void }) {
  return <Boxes {...group} type="radio" isChosen={(value) => value === chosen} onChange={onChange} />;
}

type Boxes = Group & { type: 'checkbox' | 'radio'; isChosen: (value: string) => boolean; onChange?: (value: string) => void };

function Boxes({ legend, name, choices, hint, type, isChosen, onChange }: Boxes) {
  const id = useId();
  const error = useFieldError(name);
  const about = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  return (
    <fieldset aria-describedby={about}>
      <legend className="mb-1 font-medium">{legend}</legend>
      <div className={clsx('divide-y divide-line rounded-md border', error ? 'border-bad' : 'border-edge')}>
        {choices.map(({ value, label, note, off }) => (
          <label
            key={value}
            className="flex gap-3 px-3 py-2 first:rounded-t-md last:rounded-b-md has-checked:bg-sunken has-focus-visible:outline-2 has-focus-visible:-outline-offset-2 has-focus-visible:outline-accent"
          >
            <input
              type={type}
              name={name}
              value={value}
              disabled={off}
              defaultChecked={isChosen(value)}
              onChange={() => onChange?.(value)}
              aria-invalid={error ? true : undefined}
              className="mt-0.5 size-4 shrink-0 accent-fill outline-none"
            />
            <span className="min-w-0">
              <span className={clsx('block font-medium', off && 'text-mute')}>{label}</span>
              {note && <span className="block text-sm text-mute">{note}</span>}
            </span>
          </label>
        ))}
      </div>
      {hint && (
        <p id={`${id}-hint`} className="mt-1 text-sm text-mute">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className="mt-1 text-sm text-bad">
          {error}
        </p>
      )}
    </fieldset>
  );
}

type SelectProps = SelectHTMLAttributes<HTMLSelectElement> & { label: string; hint?: string; options: readonly { value: string; label: string }[] };

export function Select({ label, hint, options, className, ...select }: SelectProps) {
  const id = useId();
  const error = useFieldError(select.name);
  const about = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  return (
    <div>
      <label htmlFor={id} className="mb-1 block font-medium">
        {label}
      </label>
      <select
        {...select}
        id={id}
        aria-describedby={about}
        aria-invalid={error ? true : undefined}
        className={clsx('block w-full rounded-md border bg-surface px-3 py-2 text-lg focus-visible:outline-offset-0', error ? 'border-bad' : 'border-edge', className)}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
      {hint && (
        <p id={`${id}-hint`} className="mt-1 text-sm text-mute">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className="mt-1 text-sm text-bad">
          {error}
        </p>
      )}
    </div>
  );
}

/** A few views of one thing, one in force: small radios in a row. */
export function Segments({ legend, name, chosen, choices, onChange }: Group & { chosen: string; onChange: (value: string) => void }) {
  return (
    <fieldset className="min-w-0">
      <legend className="sr-only">{legend}</legend>
      <div className="inline-flex max-w-full gap-1 overflow-x-auto rounded-md bg-sunken p-1">
        {choices.map(({ value, label }) => (
          <label
            key={value}
            className="rounded px-2.5 py-0.5 text-sm whitespace-nowrap text-mute hover:text-ink has-checked:bg-surface has-checked:text-ink has-checked:shadow-sm has-focus-visible:outline-2 has-focus-visible:outline-accent"
          >
            <input type="radio" name={name} value={value} className="sr-only" checked={value === chosen} onChange={() => onChange(value)} />
            {label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
