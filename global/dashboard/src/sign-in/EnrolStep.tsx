import type { NextStep } from '../api/types';
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
      <div className="rounded-md border border-edge bg-surface px-3 py-2">
        <p className="text-sm text-mute">Key, time based, for {signIn.email}</p>
        <p className="font-mono text-lg break-words select-all" aria-label="Key">
          {enrolment.secret.match(/.{1,4}/g)?.join(' ')}
        </p>
        <a href={enrolment.uri} className="text-sm underline">
          Open it in an app on this device
        </a>
      </div>
      <CodeField error={code.error} />
    </StepForm>
  );
}
