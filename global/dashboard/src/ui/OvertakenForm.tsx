import type { ReactNode } from 'react';
import { Radios } from './Choices';
import { overtaken, type Values } from './edit';
import { Form } from './Form';
import { Notice } from './Notice';

export type Words<V extends Values> = { [K in keyof V]: { label: string; say: (value: V[K]) => ReactNode } };

type Props<V extends Values, T> = {
  words: Words<V>;
  /** As it was when one began, as one made it, and as somebody else has made it meanwhile. */
  before: V;
  mine: V;
  theirs: V;
  send: (merged: V) => Promise<T>;
  done: (answer: T) => void;
  /** Back to the fields, filled with what was chosen. */
  back: (merged: V) => void;
};

/** Somebody else was faster: what they changed, and a choice where it is what one changed oneself. */
export function OvertakenForm<V extends Values, T>({ words, before, mine, theirs, send, done, back }: Props<V, T>) {
  const met = overtaken(before, mine, theirs);

  function merged(form: FormData): V {
    const kept = [...met.mine, ...met.clashes.filter((name) => form.get(name) !== 'theirs')];
    return { ...theirs, ...Object.fromEntries(kept.map((name) => [name, mine[name]])) };
  }

  const say = (name: keyof V & string, values: V): ReactNode => words[name].say(values[name]);
  return (
    <>
      <Notice kind="warn">
        {met.clashes.length > 0
          ? 'Somebody else changed this while you edited it. Nothing of yours is saved yet: choose what is to hold.'
          : 'Somebody else changed this while you edited it. Nothing of yours is saved yet; what they changed stays when you save.'}
      </Notice>
      <Form<T> submit="Save" busyLabel="Saving…" send={(form) => send(merged(form))} done={done} cancel={(form) => back(merged(form))} cancelWord="Back to the form">
        {met.clashes.map((name) => (
          <Radios
            key={name}
            legend={words[name].label}
            name={name}
            chosen="mine"
            choices={[
              { value: 'mine', label: 'Keep mine', note: say(name, mine) },
              { value: 'theirs', label: 'Take theirs', note: say(name, theirs) },
            ]}
            hint={<>Before it was: {say(name, before)}</>}
          />
        ))}
        {(met.theirs.length > 0 || met.mine.length > 0) && (
          <dl className="divide-y divide-line rounded-md border border-line px-3">
            {met.theirs.map((name) => (
              <Change key={name} label={words[name].label} by="somebody else" from={say(name, before)} to={say(name, theirs)} />
            ))}
            {met.mine.map((name) => (
              <Change key={name} label={words[name].label} by="you" from={say(name, before)} to={say(name, mine)} />
            ))}
          </dl>
        )}
      </Form>
    </>
  );
}

function Change({ label, by, from, to }: { label: string; by: string; from: ReactNode; to: ReactNode }) {
  return (
    <div className="py-2">
      <dt className="text-sm text-mute">
        {label}, changed by {by}
      </dt>
      <dd className="flex flex-wrap items-baseline gap-x-2 break-words">
        <del className="text-mute">{from}</del>
        <ins className="no-underline">{to}</ins>
      </dd>
    </div>
  );
}
