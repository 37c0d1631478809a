import { useState, type ReactNode } from 'react';
import type { FieldError, Problem } from '../api/problem';
import { Dialog } from './Dialog';
import { Field } from './Field';
import { Form } from './Form';

type Props<T> = {
  title: string;
  /** What follows from it, one sentence each; read before it is done. */
  consequences: readonly ReactNode[];
  submit: string;
  busyLabel: string;
  danger?: boolean;
  /** To be typed, so that nobody does this to another thing than they mean. */
  name?: string;
  check?: (form: FormData) => FieldError[];
  send: (form: FormData, key: string) => Promise<T>;
  /** What can be done about a refusal. */
  remedy?: (problem: Problem) => ReactNode;
  /** What leaving it as it is is called, where `Cancel` could be taken for the deed. */
  cancelWord?: string;
  done: (answer: T) => void;
  close: () => void;
  /** Fields besides. */
  children?: ReactNode;
};

/** Asks before something is done that cannot be taken back by the same press. */
export function Confirm<T>({ title, consequences, submit, busyLabel, danger = false, name, check, send, remedy, cancelWord, done, close, children }: Props<T>) {
  const [typed, setTyped] = useState('');
  return (
    <Dialog
      title={title}
      close={close}
      wide
      intro={
        <ul className="list-disc space-y-1 pl-5">
          {consequences.map((each, n) => (
            <li key={n}>{each}</li>
          ))}
        </ul>
      }
    >
      <Form submit={submit} busyLabel={busyLabel} danger={danger} held={name !== undefined && typed.trim() !== name} check={check} send={send} remedy={remedy} done={done} cancel={close} cancelWord={cancelWord}>
        {children}
        {name !== undefined && (
          <Field
            label={`Type ${name} to confirm`}
            name="confirm"
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            onChange={(event) => setTyped(event.currentTarget.value)}
            className="font-mono"
          />
        )}
      </Form>
    </Dialog>
  );
}
