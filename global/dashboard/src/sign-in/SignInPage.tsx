import { UserX } from 'lucide-react';
import { Button } from '../ui/Button';
import { EmptyState } from '../ui/EmptyState';
import { Mark } from '../ui/Mark';
import { Notice } from '../ui/Notice';
import { CodeStep } from './CodeStep';
import { EnrolStep } from './EnrolStep';
import { NewPasswordStep } from './NewPasswordStep';
import { PasswordStep } from './PasswordStep';
import { RecoveryCodesStep } from './RecoveryCodesStep';
import { TenantStep } from './TenantStep';
import { useSignIn, type SignIn } from './useSignIn';

export type Reason = 'ended' | 'signed-out';

/** `done` is called once the session exists. */
export function SignInPage({ reason, done }: { reason?: Reason; done: () => void }) {
  const signIn = useSignIn(done);
  const fresh = signIn.step.next === 'password' && !signIn.refusal;
  return (
    <div className="grid min-h-dvh lg:grid-cols-[minmax(18rem,1fr)_2fr]">
      <div aria-hidden className="mosaic hidden lg:block" />
      <main className="flex flex-col items-center px-6 pt-[14vh] pb-8">
        <div className="w-full max-w-sm">
          <div className="mb-10 flex items-center gap-2.5">
            <Mark size={28} />
            <span className="text-xl font-semibold tracking-tight">Exarch</span>
          </div>
          {fresh && reason === 'ended' && (
            <Notice kind="info" className="mb-4">
              Your session has ended. Sign in to go on where you were.
            </Notice>
          )}
          {fresh && reason === 'signed-out' && (
            <Notice kind="info" className="mb-4">
              You are signed out.
            </Notice>
          )}
          <StepOf signIn={signIn} />
        </div>
      </main>
    </div>
  );
}

function StepOf({ signIn }: { signIn: SignIn }) {
  const { step } = signIn;
  switch (step.next) {
    case 'password':
      return <PasswordStep signIn={signIn} />;
    case 'select-tenant':
      return <TenantStep signIn={signIn} step={step} />;
    case 'second-factor':
      return step.enrolment ? <EnrolStep signIn={signIn} enrolment={step.enrolment} /> : <CodeStep signIn={signIn} />;
    case 'recovery-codes':
      return <RecoveryCodesStep signIn={signIn} codes={step.codes} />;
    case 'change-password':
      return <NewPasswordStep signIn={signIn} />;
    case 'no-tenant':
      return (
        <Dead signIn={signIn} title="You belong to no tenant">
          No tenant has given {signIn.email} access yet. Ask the administrator who invited you.
        </Dead>
      );
    default:
      return (
        <Dead signIn={signIn} title="A step this page does not know">
          The server asks for something newer than this page. Reload it and sign in again.
        </Dead>
      );
  }
}

function Dead({ signIn, title, children }: { signIn: SignIn; title: string; children: React.ReactNode }) {
  return (
    <div role="alert">
      <title>{`${title} · Exarch`}</title>
      <EmptyState heading="h1" Icon={UserX} title={title} action={<Button onClick={signIn.restart}>Sign in as someone else</Button>}>
        {children}
      </EmptyState>
    </div>
  );
}
