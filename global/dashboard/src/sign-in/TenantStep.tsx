import type { NextStep } from '../api/types';
import { TenantChoice } from '../ui/TenantChoice';
import { StepForm } from './StepForm';
import type { SignIn } from './useSignIn';

export function TenantStep({ signIn, step }: { signIn: SignIn; step: NextStep }) {
  return (
    <StepForm
      signIn={signIn}
      title="Choose a tenant"
      intro="You belong to more than one. You can switch later."
      submit="Continue"
      busyLabel="Signing in…"
      onSubmit={(form) => {
        const tenant = form.get('tenant');
        if (typeof tenant === 'string') void signIn.answer({ tenant });
      }}
    >
      <TenantChoice tenants={step.tenants ?? []} autoFocus />
    </StepForm>
  );
}
