import { useState } from 'react';
import { Field } from '../ui/Field';
import { StepForm } from './StepForm';
import type { SignIn } from './useSignIn';

export function CodeStep({ signIn }: { signIn: SignIn }) {
  const [error, setError] = useState<string>();
  return (
    <StepForm
      signIn={signIn}
      title="Second factor"
      intro="Enter the code that your authenticator app shows now."
      submit="Verify"
      busyLabel="Verifying…"
      retryField="totp"
      onSubmit={(form) => {
        const totp = String(form.get('totp')).replaceAll(/\s/g, '');
        const whole = /^\d{6}$/.test(totp);
        setError(whole ? undefined : 'The code has six digits.');
        if (whole) void signIn.answer({ totp });
      }}
    >
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
    </StepForm>
  );
}
