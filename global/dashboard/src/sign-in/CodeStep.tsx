import { useState } from 'react';
import { Button } from '../ui/Button';
import { Field } from '../ui/Field';
import { CodeField, useCode } from './CodeField';
import { StepForm } from './StepForm';
import type { SignIn } from './useSignIn';

/** A code of the app, or in its place one of the recovery codes. */
export function CodeStep({ signIn }: { signIn: SignIn }) {
  const [recovery, setRecovery] = useState(false);
  const [missing, setMissing] = useState<string>();
  const code = useCode(signIn);
  return (
    <StepForm
      signIn={signIn}
      title="Second factor"
      intro={recovery ? 'Enter one of your recovery codes. It works once.' : 'Enter the code that your authenticator app shows now.'}
      submit="Verify"
      busyLabel="Verifying…"
      retryField="totp"
      onSubmit={(form) => {
        if (!recovery) return code.submit(form);
        const totp = String(form.get('totp')).trim();
        setMissing(totp ? undefined : 'Enter a recovery code.');
        if (totp) void signIn.answer({ totp });
      }}
      more={
        <Button look="quiet" className="w-full" onClick={() => setRecovery(!recovery)}>
          {recovery ? 'Use the authenticator app' : 'Use a recovery code'}
        </Button>
      }
    >
      {recovery ?
        <Field
          key="recovery"
          label="Recovery code"
          name="totp"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={40}
          autoFocus
          error={missing}
          className="font-mono"
        />
      : <CodeField key="code" error={code.error} />}
    </StepForm>
  );
}
