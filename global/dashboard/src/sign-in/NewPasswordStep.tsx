import { useState } from 'react';
import { lengthFault, NewPasswordField } from '../ui/NewPassword';
import { StepForm } from './StepForm';
import type { SignIn } from './useSignIn';

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
        const wrong = lengthFault(password);
        setError(wrong);
        if (!wrong) void signIn.answer({ new_password: password });
      }}
    >
      {/* Tells a password manager whose password this is. */}
      <input type="text" name="username" autoComplete="username" value={signIn.email} readOnly hidden />
      <NewPasswordField name="new-password" autoFocus error={error} />
    </StepForm>
  );
}
