import { StepForm } from './StepForm';
import type { SignIn } from './useSignIn';

/** Shown this once; going on says that they were kept. */
export function RecoveryCodesStep({ signIn, codes }: { signIn: SignIn; codes: string[] }) {
  return (
    <StepForm
      signIn={signIn}
      title="Keep your recovery codes"
      intro="Each works once in the place of a code of the app, should you lose it. They are not shown again."
      submit="I have kept them"
      busyLabel="Signing in…"
      final
      onSubmit={signIn.goOn}
    >
      <ul aria-label="Recovery codes" className="grid gap-1 rounded-md border border-edge bg-surface px-3 py-2 font-mono select-all sm:grid-cols-2">
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
    </StepForm>
  );
}
