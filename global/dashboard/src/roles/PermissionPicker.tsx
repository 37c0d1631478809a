import { useQuery } from '@tanstack/react-query';
import clsx from 'clsx';
import { Search } from 'lucide-react';
import { useId, useRef, useState } from 'react';
import { useMe } from '../api/me';
import { asProblem, type FieldError } from '../api/problem';
import type { PermissionEntry } from '../api/types';
import { Button } from '../ui/Button';
import { missing, useFieldError } from '../ui/form-state';
import { Notice } from '../ui/Notice';
import { catalogueQuery } from './queries';
import { covered, grouped, matches } from './words';

const NAME = '/permissions';

export const permissionsCheck = (form: FormData): FieldError[] => missing(form, { [NAME]: 'Choose at least one permission' });

/** What a role is to hold, by what it acts on. What one does not hold oneself is shown, and not to be chosen. */
export function PermissionPicker({ scope, chosen }: { scope: string; chosen: readonly string[] }) {
  const catalogue = useQuery(catalogueQuery);
  if (catalogue.isError && !catalogue.data) return <Notice kind="bad">{asProblem(catalogue.error).sentence}</Notice>;
  if (!catalogue.data) {
    return (
      <p role="status" className="text-mute">
        Loading…
      </p>
    );
  }
  return <Groups all={covered(scope, catalogue.data)} before={chosen} />;
}

function Groups({ all, before }: { all: readonly PermissionEntry[]; before: readonly string[] }) {
  const id = useId();
  const { held } = useMe();
  const error = useFieldError(NAME);
  const top = useRef<HTMLFieldSetElement>(null);
  const [chosen, setChosen] = useState(() => new Set(before.filter((name) => held.includes(name))));
  const [search, setSearch] = useState('');
  const words = search.trim().toLowerCase();
  const count = all.filter(({ name }) => chosen.has(name)).length;
  const shown = all.filter((entry) => matches(entry, words)).length;

  function choose(names: readonly string[], on: boolean): void {
    setChosen((now) => new Set(on ? [...now, ...names] : [...now].filter((each) => !names.includes(each))));
  }

  /** By a button, of which the form hears nothing by itself. */
  function chooseAll(names: readonly string[], on: boolean): void {
    choose(names, on);
    top.current?.dispatchEvent(new Event('input', { bubbles: true }));
  }

  return (
    <fieldset ref={top} name="permissions" aria-describedby={`${id}-count${error ? ` ${id}-error` : ''}`}>
      <legend className="mb-1 font-medium">Permissions</legend>
      <div className="mb-2 flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <div className="relative w-64 max-w-full">
          <Search size={15} className="pointer-events-none absolute top-1/2 left-2.5 -translate-y-1/2 text-mute" aria-hidden />
          <input
            type="search"
            aria-label="Find permissions"
            placeholder="Find by name or sentence"
            autoComplete="off"
            spellCheck={false}
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
            // Searching is no sending.
            onKeyDown={(event) => event.key === 'Enter' && event.preventDefault()}
            className="block w-full rounded-md border border-edge bg-surface py-1.5 pr-2 pl-8 placeholder:text-mute"
          />
        </div>
        <p id={`${id}-count`} role="status" className="text-sm text-mute tabular-nums">
          {`${count} of ${all.length} chosen`}
          {words && `, ${shown} shown`}
        </p>
      </div>
      <div className={clsx('rounded-md border', error ? 'border-bad' : 'border-edge')}>
        {grouped(all).map(([subject, entries]) => (
          <Group key={subject} subject={subject} entries={entries} words={words} chosen={chosen} choose={choose} chooseAll={chooseAll} />
        ))}
        {shown === 0 && <p className="px-3 py-2 text-mute">No permission has this in its name or sentence.</p>}
      </div>
      {error && (
        <p id={`${id}-error`} className="mt-1 text-sm text-bad">
          {error}
        </p>
      )}
    </fieldset>
  );
}

type GroupProps = {
  subject: string;
  entries: readonly PermissionEntry[];
  words: string;
  chosen: ReadonlySet<string>;
  choose: (names: readonly string[], on: boolean) => void;
  chooseAll: (names: readonly string[], on: boolean) => void;
};

/** What the search leaves out stays in the form, since it stays chosen. */
function Group({ subject, entries, words, chosen, choose, chooseAll }: GroupProps) {
  const id = useId();
  const { held } = useMe();
  const open = entries.filter(({ name }) => held.includes(name)).map(({ name }) => name);
  const whole = open.length > 0 && open.every((name) => chosen.has(name));
  return (
    <div role="group" aria-labelledby={id} hidden={!entries.some((entry) => matches(entry, words))} className="border-b border-line px-3 py-2 last:border-0">
      <div className="flex items-center justify-between gap-4">
        <p id={id} className="font-medium">
          {subject}
        </p>
        {open.length > 1 && !words && (
          <Button look="quiet" className="-mr-2 px-2! py-0.5! text-sm" aria-label={`${whole ? 'None' : 'All'} of ${subject}`} onClick={() => chooseAll(open, !whole)}>
            {whole ? 'None' : 'All'}
          </Button>
        )}
      </div>
      {entries.map((entry) => {
        const { name, sentence } = entry;
        const mine = held.includes(name);
        return (
          <label key={name} hidden={!matches(entry, words)} className={clsx('flex min-h-6 gap-2.5 rounded py-0.5 has-focus-visible:outline-2 has-focus-visible:outline-accent', !mine && 'text-mute')}>
            <input
              type="checkbox"
              name={NAME}
              value={name}
              checked={chosen.has(name)}
              disabled={!mine}
              onChange={(event) => choose([name], event.currentTarget.checked)}
              className="mt-0.5 size-4 shrink-0 accent-fill outline-none"
            />
            <span className="min-w-0">
              <code className="mr-2 font-mono text-sm">{name}</code>
              <span className={clsx('text-sm', mine && 'text-mute')}>
                {sentence}
                {!mine && ' You do not hold it, so you cannot give it.'}
              </span>
            </span>
          </label>
        );
      })}
    </div>
  );
}
