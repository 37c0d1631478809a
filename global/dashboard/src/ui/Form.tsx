import { useEffect, useRef, useState, type ReactNode } from 'react';
import { asProblem, type FieldError, type Problem } from '../api/problem';
import { clock } from '../time';
import { Button } from './Button';
import { elementOf, fieldOf, FieldErrors, labelOf, sentence } from './form-state';
import { LeaveGuard } from './LeaveGuard';
import { Notice } from './Notice';
import { References } from './References';

type Props<T> = {
  submit: string;
  busyLabel: string;
  /** What is known to be wrong before the server is asked. */
  check?: (form: FormData) => FieldError[];
  /** `key` names the attempt for `Idempotency-Key`: the same values sent again, after an answer that never came, have the same. */
  send: (form: FormData, key: string) => Promise<T>;
  done: (answer: T) => void;
  /** Leaves it, with what is filled in. */
  cancel?: (form: FormData) => void;
  cancelWord?: string;
  /** Leaving with something typed is asked about; not in a dialog, which is small and closed on purpose. */
  guarded?: boolean;
  /** Not to be pressed yet; what is missing for it stands beside it. */
  held?: boolean;
  danger?: boolean;
  /** What can be done about a refusal, when the page knows; `over` takes the refusal away once that was done. */
  remedy?: (problem: Problem, over: () => void) => ReactNode;
  children: ReactNode;
};

type Wrong = { name: string; label: string; reason: string };
type Refused = { problem?: Problem; fields: Wrong[]; rest: string[] };

/**
 * A form whose refusals stand beside their fields: the first wrong field takes the focus, the summary is announced, what
 * was typed stays. While it is on its way it is not sent again.
 */
export function Form<T>({ submit, busyLabel, check, send, done, cancel, cancelWord = 'Cancel', guarded = false, held = false, danger = false, remedy, children }: Props<T>) {
  const form = useRef<HTMLFormElement>(null);
  const underWay = useRef(false);
  /** Whether something would be lost by leaving; read when somebody leaves, which may be before the next drawing. */
  const dirty = useRef(false);
  /** What was sent last without an answer, and under which key. */
  const open = useRef<{ values: string; key: string }>(undefined);
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<Refused>();
  /** Fields that were changed since the refusal: what was said of their values no longer holds. */
  const [changed, setChanged] = useState<ReadonlySet<string>>(new Set());

  useEffect(() => {
    if (!refused || !form.current) return;
    const first = refused.fields[0];
    if (first) elementOf(form.current, first.name)?.focus();
    else form.current.querySelector('[role=alert]')?.scrollIntoView?.({ block: 'nearest' });
  }, [refused]);

  function refuse(element: HTMLFormElement, errors: readonly FieldError[], problem?: Problem): void {
    const placed = errors.map((error) => ({ ...error, name: fieldOf(element, error.pointer) }));
    setChanged(new Set());
    setRefused({
      problem,
      fields: placed.flatMap(({ name, reason }) => (name === undefined ? [] : [{ name, reason: sentence(reason), label: labelOf(element, name) }])),
      rest: placed.flatMap(({ name, pointer, reason }) => (name === undefined ? [`${pointer} ${sentence(reason)}`] : [])),
    });
  }

  async function go(element: HTMLFormElement): Promise<void> {
    if (underWay.current || held) return;
    const values = new FormData(element);
    const wrong = check?.(values) ?? [];
    if (wrong.length > 0) return refuse(element, wrong);
    underWay.current = true;
    setBusy(true);
    setRefused(undefined);
    try {
      const said = JSON.stringify([...values]);
      if (open.current?.values !== said) open.current = { values: said, key: crypto.randomUUID() };
      const answer = await send(values, open.current.key);
      open.current = undefined;
      dirty.current = false;
      done(answer);
    } catch (error) {
      const problem = asProblem(error);
      // Something was answered: another press is another attempt.
      if (problem.status !== 0) open.current = undefined;
      refuse(element, problem.errors, problem);
    } finally {
      underWay.current = false;
      setBusy(false);
    }
  }

  const wrong = refused?.fields.filter(({ name }) => !changed.has(name)) ?? [];
  const errorOf = (name: string) =>
    wrong.filter((each) => each.name === name).map(({ reason }) => reason).join(' ') || undefined;

  return (
    <form
      ref={form}
      method="post"
      noValidate
      onInput={(event) => {
        const { name } = event.target as HTMLInputElement;
        dirty.current = true;
        if (wrong.some((each) => each.name === name)) setChanged(new Set([...changed, name]));
      }}
      onSubmit={(event) => {
        event.preventDefault();
        void go(event.currentTarget);
      }}
      className="space-y-4"
    >
      {guarded && <LeaveGuard when={() => dirty.current} />}
      {refused && <Summary {...refused} fields={wrong} go={(name) => form.current && elementOf(form.current, name)?.focus()} remedy={refused.problem && remedy?.(refused.problem, () => setRefused(undefined))} />}
      <FieldErrors value={errorOf}>{children}</FieldErrors>
      <div className="flex flex-wrap justify-end gap-2 pt-1">
        {cancel && <Button onClick={() => form.current && cancel(new FormData(form.current))}>{cancelWord}</Button>}
        <Button type="submit" look={danger ? 'danger' : 'primary'} busy={busy && busyLabel} aria-disabled={held || undefined}>
          {submit}
        </Button>
      </div>
    </form>
  );
}

/** The refusal as a whole. Of wrong values it is a list that leads to them; else the server's sentence. */
function Summary({ problem, fields, rest, go, remedy }: Refused & { go: (name: string) => void; remedy: ReactNode }) {
  const aboutValues = !problem || [400, 422].includes(problem.status);
  if (fields.length === 0 && rest.length === 0 && (!problem || (aboutValues && problem.errors.length > 0))) return null;
  return (
    <Notice kind="bad">
      {aboutValues && fields.length > 0 ? (
        <>
          <p>{fields.length === 1 ? 'One value cannot be accepted.' : `${fields.length} values cannot be accepted.`}</p>
          <ul>
            {fields.map(({ name, label, reason }) => (
              <li key={`${name} ${reason}`}>
                <button type="button" className="min-h-6 rounded text-left underline" onClick={() => go(name)}>
                  {label}
                </button>
                {`: ${reason}`}
              </li>
            ))}
          </ul>
        </>
      ) : (
        problem && <p>{problem.sentence}</p>
      )}
      {rest.map((each) => (
        <p key={each}>{each}</p>
      ))}
      {remedy}
      {/* Where there is something better to do than to wait, nobody is told to wait. */}
      {problem?.retryAt && !remedy && <p>{`You can try again at ${clock(problem.retryAt)}.`}</p>}
      {problem && fields.length === 0 && <References problem={problem} />}
    </Notice>
  );
}
