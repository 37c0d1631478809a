import type { NextStep } from '../api/types';
import { AppKey } from '../ui/AppKey';
import { CodeField, useCode } from './CodeField';
import { StepForm } from './StepForm';
import type { SignIn } from './useSignIn';

type Enrolment = NonNullable<NextStep['enrolment']>;

/** For who needs a second factor and has none: the secret for the app, and its first code. */
export function EnrolStep({ signIn, enrolment }: { signIn: SignIn; enrolment: Enrolment }) {
  const code = useCode(signIn);
  return (
    <StepForm
      signIn={signIn}
      title="Set up a second factor"
      intro="Your role needs one. Add this key to an authenticator app, then enter the code that the app shows."
      submit="Verify"
      busyLabel="Verifying…"
      retryField="totp"
      onSubmit={code.submit}
    >
      <AppKey email={signIn.email} secret={enrolment.secret} uri={enrolment.uri} />
      <CodeField error={code.error} />
    </StepForm>
  );
}
