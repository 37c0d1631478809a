import { useEffect, useId, useRef, type ReactNode } from 'react';
import { clock, duration, useNow } from '../time';
import { Button } from '../ui/Button';
import { Notice } from '../ui/Notice';
import type { SignIn } from './useSignIn';

type Props = {
  signIn: SignIn;
  title: string;
  intro?: ReactNode;
  submit: string;
  busyLabel: string;
  onSubmit: (form: FormData) => void;
  /** The field to go back to after a refusal. */
  retryField?: string;
  /** Another way to answer. */
  more?: ReactNode;
  /** Nobody goes back from here. */
  final?: boolean;
  children: ReactNode;
};

/** What all steps share: a real form, its refusal beside it, and one button that says when it can be pressed again. */
export function StepForm({ signIn, title, intro, submit, busyLabel, onSubmit, retryField, more, final, children }: Props) {
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const now = useNow();
  const { busy, refusal, step } = signIn;
  const wait = refusal?.retryAt ? Math.max(0, refusal.retryAt - now) : 0;

  useEffect(() => {
    if (!refusal || !retryField) return;
    const field = form.current?.elements.namedItem(retryField);
    if (field instanceof HTMLInputElement) field.select();
  }, [refusal, retryField]);

  return (
    <form
      ref={form}
      method="post"
      noValidate
      aria-labelledby={`${id}-title`}
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy && wait === 0) onSubmit(new FormData(event.currentTarget));
      }}
      className="space-y-4"
    >
      <div>
        <title>{`${title} · Exarch`}</title>
        <h1 id={`${id}-title`} className="text-xl font-semibold">
          {title}
        </h1>
        {intro && <div className="mt-1 text-mute">{intro}</div>}
      </div>
      {refusal && (
        <Notice kind="bad">
          {refusal.sentence}
          {refusal.retryAt && ` You can try again at ${clock(refusal.retryAt)}.`}
          {refusal.requestId && <span className="mt-1 block font-mono text-xs">Request {refusal.requestId}</span>}
        </Notice>
      )}
      {children}
      <Button type="submit" look="primary" className="w-full py-2 text-lg" busy={busy && busyLabel} aria-disabled={wait > 0}>
        {wait > 0 ? `Try again in ${wait < 120_000 ? `${Math.ceil(wait / 1000)} s` : duration(wait)}` : submit}
      </Button>
      {more}
      {step.next !== 'password' && !final && (
        <Button look="quiet" className="w-full" onClick={signIn.restart}>
          Sign in as someone else
        </Button>
      )}
    </form>
  );
}
