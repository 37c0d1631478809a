import { useState } from 'react';
import { Field } from '../ui/Field';
import type { SignIn } from './useSignIn';

/** Sends six digits, typed with spaces or without; says beside the field when they are not. */
export function useCode(signIn: SignIn) {
  const [error, setError] = useState<string>();
  return {
    error,
    submit(form: FormData) {
      const totp = String(form.get('totp')).replaceAll(/\s/g, '');
      const whole = /^\d{6}$/.test(totp);
      setError(whole ? undefined : 'The code has six digits.');
      if (whole) void signIn.answer({ totp });
    },
  };
}

export function CodeField({ error }: { error?: string }) {
  return (
    <Field
      label="Six-digit code"
      name="totp"
      inputMode="numeric"
      autoComplete="one-time-code"
      maxLength={10}
      autoFocus
      error={error}
      className="font-mono tracking-[0.3em] tabular-nums"
    />
  );
}
