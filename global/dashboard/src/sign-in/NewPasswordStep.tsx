import { useState } from 'react';
import { Field } from '../ui/Field';
import { StepForm } from './StepForm';
import type { SignIn } from './useSignIn';

/** The shortest any tenant allows (with a second factor) and the longest; which one holds here the server says. */
const SHORTEST = 12;
const LONGEST = 256;

export function NewPasswordStep({ signIn }: { signIn: SignIn }) {
  const [error, setError] = useState<string>();
  return (
    <StepForm
      signIn={signIn}
      title="Choose a new password"
      intro="Your password has to be replaced before you go on."
      submit="Change password"
      busyLabel="Changing…"
      retryField="new-password"
      onSubmit={(form) => {
        const password = String(form.get('new-password'));
        const length = [...password.normalize('NFC')].length;
        const wrong =
          length < SHORTEST ? `Too short: ${length} of at least ${SHORTEST} characters.`
          : length > LONGEST ? `Too long: ${length} of at most ${LONGEST} characters.`
          : undefined;
        setError(wrong);
        if (!wrong) void signIn.answer({ new_password: password });
      }}
    >
      {/* Tells a password manager whose password this is. */}
      <input type="text" name="username" autoComplete="username" value={signIn.email} readOnly hidden />
      <Field
        label="New password"
        name="new-password"
        type="password"
        autoComplete="new-password"
        autoFocus
        error={error}
        hint="At least 15 characters, or 12 where your tenant asks for a second factor. Any characters; a few words are fine."
      />
    </StepForm>
  );
}
