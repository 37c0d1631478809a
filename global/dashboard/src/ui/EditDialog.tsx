import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import type { Tagged } from '../api/client';
import { asProblem, type FieldError } from '../api/problem';
import { Dialog } from './Dialog';
import { changed, isNothing, type Values } from './edit';
import { Form } from './Form';
import { Notice } from './Notice';
import { OvertakenForm, type Words } from './OvertakenForm';
import { toast } from './Toasts';

type Props<T, V extends Values> = {
  title: string;
  intro?: ReactNode;
  /** The thing as it is now, with its version. */
  read: () => Promise<Tagged<T>>;
  /** What of it is edited, as the form has it. */
  values: (thing: T) => V;
  fields: (values: V) => ReactNode;
  typed: (form: FormData) => V;
  check?: (form: FormData) => FieldError[];
  /** How a value is called and shown where two people's differ. */
  words: Words<V>;
  /** Sends what changed, and nothing else: what another person changes besides stays. */
  save: (changes: Partial<V>, tag: string) => Promise<T>;
  done: (thing: T) => void;
  close: () => void;
};

type Overtaken<T, V> = { theirs: Tagged<T>; before: V; mine: V };
type Sent<T, V> = { saved: T } | { overtaken: Overtaken<T, V> } | 'nothing';

/** How often a version may be gone without a difference that anybody would see. */
const TRIES = 3;

/**
 * Edits a thing of which there are versions. It is read when the dialog opens, so that what is edited is what is there; and
 * when somebody else was faster, both are shown, and who edits chooses.
 */
export function EditDialog<T, V extends Values>({ title, intro, read, values, fields, typed, check, words, save, done, close }: Props<T, V>) {
  // Asked for once: what is edited does not change under the hands of who edits it.
  const first = useQuery({ queryKey: ['edit', title], queryFn: read, gcTime: 0, staleTime: Infinity, refetchOnWindowFocus: false });
  /** What is edited instead, once somebody was faster. */
  const [later, setLater] = useState<{ seen: Tagged<T>; filled: V }>();
  const [overtaken, setOvertaken] = useState<Overtaken<T, V>>();
  const seen = later?.seen ?? first.data;

  async function send(before: V, mine: V, changes: Partial<V>, tag: string): Promise<Sent<T, V>> {
    if (isNothing(changes)) return 'nothing';
    for (let tries = 1; ; tries += 1) {
      try {
        return { saved: await save(changes, tag) };
      } catch (error) {
        if (asProblem(error).status !== 412 || tries === TRIES) throw error;
      }
      const theirs = await read();
      if (!isNothing(changed(before, values(theirs.value)))) return { overtaken: { theirs, before, mine } };
      tag = theirs.tag;
    }
  }

  function over(sent: Sent<T, V>): void {
    if (sent === 'nothing' && overtaken) {
      done(overtaken.theirs.value);
    } else if (sent === 'nothing') {
      toast('Nothing was changed.');
      close();
    } else if ('saved' in sent) {
      done(sent.saved);
    } else {
      setOvertaken(sent.overtaken);
    }
  }

  if (overtaken) {
    const { theirs, before, mine } = overtaken;
    return (
      <Dialog key="overtaken" title={title} close={close} wide>
        <OvertakenForm<V, Sent<T, V>>
          key={theirs.tag}
          words={words}
          before={before}
          mine={mine}
          theirs={values(theirs.value)}
          send={(merged) => send(values(theirs.value), merged, changed(values(theirs.value), merged), theirs.tag)}
          done={over}
          back={(filled) => {
            setLater({ seen: theirs, filled });
            setOvertaken(undefined);
          }}
        />
      </Dialog>
    );
  }
  return (
    <Dialog title={title} intro={intro} close={close} wide>
      {first.isError ? (
        <Notice kind="bad">{asProblem(first.error).sentence}</Notice>
      ) : !seen ? (
        <p role="status" className="text-mute">
          Loading…
        </p>
      ) : (
        <Form<Sent<T, V>>
          key={seen.tag}
          submit="Save"
          busyLabel="Saving…"
          cancel={close}
          check={check}
          send={(form) => {
            const [before, mine] = [values(seen.value), typed(form)];
            return send(before, mine, changed(before, mine), seen.tag);
          }}
          done={over}
        >
          {fields(later?.filled ?? values(seen.value))}
        </Form>
      )}
    </Dialog>
  );
}
