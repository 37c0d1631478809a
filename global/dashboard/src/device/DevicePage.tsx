import { useEffect, useRef, useState, type FormEvent } from 'react';
import { api, data } from '../api/client';
import { asProblem } from '../api/problem';
import { useMe } from '../api/me';
import type { Asker } from '../api/types';
import { Button } from '../ui/Button';
import { Field } from '../ui/Field';
import { Notice } from '../ui/Notice';
import { Section } from '../ui/Section';
import { Time } from '../ui/Time';

type Step =
  | { at: 'code'; refusal?: string }
  | { at: 'asker'; code: string; asker: Asker; refusal?: string }
  | { at: 'done'; allowed: boolean };

/** A program without a browser waits with a code: who asks is shown before anybody is let in. */
export function DevicePage({ code }: { code?: string }) {
  const me = useMe();
  const [step, setStep] = useState<Step>({ at: 'code' });
  const [busy, setBusy] = useState(false);
  const [missing, setMissing] = useState<string>();
  const page = useRef<HTMLDivElement>(null);

  // The keyboard does not stay on a button that is gone.
  useEffect(() => {
    if (step.at !== 'code') page.current?.focus();
  }, [step.at]);

  async function send(call: () => Promise<void>) {
    if (busy) return;
    setBusy(true);
    try {
      await call();
    } catch (error) {
      const refusal = asProblem(error).sentence;
      setStep((now) => (now.at === 'done' ? now : { ...now, refusal }));
    }
    setBusy(false);
  }

  function look(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const user_code = String(new FormData(event.currentTarget).get('user-code')).trim();
    setMissing(user_code ? undefined : 'Enter the code that the program shows.');
    if (!user_code) return;
    void send(async () => {
      const asker = await data(api.POST('/v1/me/device/look', { body: { user_code } }));
      setStep({ at: 'asker', code: user_code, asker });
    });
  }

  function answer(code: string, allowed: boolean) {
    void send(async () => {
      const body = { user_code: code };
      await data(allowed ? api.POST('/v1/me/device/approve', { body }) : api.POST('/v1/me/device/deny', { body }));
      setStep({ at: 'done', allowed });
    });
  }

  return (
    <div className="mx-auto max-w-lg outline-none" ref={page} tabIndex={-1}>
      <title>Sign in a program · Exarch</title>
      {step.at === 'code' && (
        <Section level={1} title="Sign in a program" intro="A program that has no browser shows you a code. Compare it, or type it here.">
          <form method="post" noValidate onSubmit={look} className="space-y-4">
            {step.refusal && <Notice kind="bad">{step.refusal}</Notice>}
            <Field
              label="Code"
              name="user-code"
              defaultValue={code}
              autoComplete="off"
              autoCapitalize="characters"
              spellCheck={false}
              maxLength={20}
              autoFocus
              error={missing}
              className="font-mono tracking-widest uppercase"
            />
            <Button type="submit" look="primary" busy={busy && 'Looking…'}>
              Continue
            </Button>
          </form>
        </Section>
      )}
      {step.at === 'asker' && (
        <Section level={1} title="Let this program in?" intro="Only if you started it yourself, just now.">
          <div className="space-y-4">
            {step.refusal && <Notice kind="bad">{step.refusal}</Notice>}
            <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-1 rounded-md border border-edge bg-surface px-3 py-2">
              <dt className="text-mute">Code</dt>
              <dd className="font-mono uppercase">{step.code}</dd>
              <dt className="text-mute">Program</dt>
              <dd>{step.asker.client}</dd>
              <dt className="text-mute">Asks from</dt>
              <dd className="font-mono">{step.asker.address ?? 'an unknown address'}</dd>
              {step.asker.user_agent && (
                <>
                  <dt className="text-mute">Calls itself</dt>
                  <dd className="font-mono break-words">{step.asker.user_agent}</dd>
                </>
              )}
              <dt className="text-mute">Asked</dt>
              <dd>
                <Time at={step.asker.asked_at} />
              </dd>
              <dt className="text-mute">Signs in as</dt>
              <dd>
                {me.user.email}
                {me.tenant && `, in ${me.tenant.name}`}
              </dd>
            </dl>
            <div className="flex gap-2">
              <Button look="primary" busy={busy && 'One moment…'} onClick={() => answer(step.code, true)}>
                Let it in
              </Button>
              <Button onClick={() => answer(step.code, false)}>Refuse</Button>
            </div>
          </div>
        </Section>
      )}
      {step.at === 'done' && (
        <Section level={1} title={step.allowed ? 'The program is signed in' : 'The program was refused'}>
          <p>{step.allowed ? 'Go back to it; you can close this page.' : 'If you did not start it, nothing else is to do.'}</p>
        </Section>
      )}
    </div>
  );
}
