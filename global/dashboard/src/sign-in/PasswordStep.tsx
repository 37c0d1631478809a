import { useState } from 'react';
import { links } from '../links';
import { Field } from '../ui/Field';
import { StepForm } from './StepForm';
import type { SignIn } from './useSignIn';

/** First factor. Upstream providers and passkeys will stand below the form as further ways. */
export function PasswordStep({ signIn }: { signIn: SignIn }) {
  const [missing, setMissing] = useState<{ email?: string; password?: string }>({});
  return (
    <StepForm
      signIn={signIn}
      title="Sign in"
      intro="Once, for every region you may enter."
      submit="Sign in"
      busyLabel="Signing in…"
      retryField="password"
      more={
        <a href={links.resetPassword} className="block py-1 text-center text-mute underline hover:text-ink">
          Forgot your password?
        </a>
      }
      onSubmit={(form) => {
        const email = String(form.get('email')).trim();
        const password = String(form.get('password'));
        const gaps = {
          email: email ? undefined : 'Enter your e-mail address.',
          password: password ? undefined : 'Enter your password.',
        };
        setMissing(gaps);
        if (email && password) void signIn.signIn(email, password);
      }}
    >
      {/* Not type=email: browsers rewrite what is typed there, and the server decides what an address is. */}
      <Field
        label="E-mail"
        name="email"
        type="text"
        inputMode="email"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={320}
        autoFocus
        defaultValue={signIn.email}
        error={missing.email}
      />
      <Field label="Password" name="password" type="password" autoComplete="current-password" error={missing.password} />
    </StepForm>
  );
}
