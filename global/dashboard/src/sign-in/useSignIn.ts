// The conversation with the server: a password, then as many steps as the server asks for, then the page leaves.
import { useState } from 'react';
import { api, data } from '../api/client';
import { asProblem, type Problem } from '../api/problem';
import type { NextStep, SignInAnswer } from '../api/types';

export type Step =
  | { next: 'password' }
  | { next: 'no-tenant' }
  | { next: 'recovery-codes'; codes: string[]; then: SignInAnswer }
  | NextStep;
export type Refusal = { sentence: string; retryAt?: number; requestId?: string };

/** One sentence for unknown, wrong, locked and disabled alike, whatever the server said. */
const REFUSED = 'This e-mail and password do not match an account that can sign in. Check both and try again.';

export function useSignIn(done: () => void) {
  const [step, setStep] = useState<Step>({ next: 'password' });
  const [email, setEmail] = useState('');
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal>();

  async function send(call: () => Promise<SignInAnswer>): Promise<void> {
    if (busy) return;
    setBusy(true);
    setRefusal(undefined);
    try {
      const answer = await call();
      // Shown this once, so nothing goes on before they were seen.
      if (answer.recovery_codes) setStep({ next: 'recovery-codes', codes: answer.recovery_codes, then: answer });
      else if (take(answer)) return; // stays busy until the page has left
    } catch (error) {
      refuse(asProblem(error));
    }
    setBusy(false);
  }

  /** Whether the page leaves now. */
  function take(answer: SignInAnswer): boolean {
    if (answer.status === 'signed-in') {
      done();
      return true;
    }
    setStep(answer.next === 'select-tenant' && !answer.tenants?.length ? { next: 'no-tenant' } : answer);
    return false;
  }

  function refuse(problem: Problem): void {
    if (problem.slug === 'no-tenant') return setStep({ next: 'no-tenant' });
    if (problem.slug === 'ticket-expired' || problem.status === 410) {
      setStep({ next: 'password' });
      return setRefusal({ sentence: 'Signing in took too long. Start again with your password.' });
    }
    const { retryAt, requestId } = problem;
    if (problem.status === 429) return setRefusal({ sentence: 'Too many tries in a short time.', retryAt });
    const unnamed = step.next === 'password' && problem.status === 401;
    setRefusal(unnamed ? { sentence: REFUSED } : { sentence: problem.sentence, requestId });
  }

  return {
    step,
    email,
    busy,
    refusal,
    signIn(address: string, password: string) {
      setEmail(address);
      return send(() => data(api.POST('/v1/auth/sign-in', { body: { email: address, password, session: 'cookie' } })));
    },
    answer(given: { tenant?: string; totp?: string; new_password?: string }) {
      const { ticket } = step as NextStep;
      return send(() => data(api.POST('/v1/auth/next', { body: { ticket, ...given } })));
    },
    /** After the recovery codes were seen. */
    goOn() {
      if (step.next === 'recovery-codes') setBusy(take(step.then));
    },
    restart() {
      setStep({ next: 'password' });
      setRefusal(undefined);
    },
  };
}

export type SignIn = ReturnType<typeof useSignIn>;
