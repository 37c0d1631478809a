import { useState, type FormEvent } from 'react';
import { api, data } from '../api/client';
import { links } from '../links';
import { Button } from '../ui/Button';
import { Field } from '../ui/Field';
import { lengthFault, NewPasswordField } from '../ui/NewPassword';
import { Notice } from '../ui/Notice';
import { Frame, Page, useSend } from './mailed';

/** Without a token asks for the mail, with the one of a mail for the new password. */
export function ResetPage({ token }: { token?: string }) {
  const [over, setOver] = useState(false);
  return (
    <Frame>
      {token && !over ? <Choose token={token} over={() => setOver(true)} /> : <Ask over={over} />}
      <p className="mt-6">
        <a href={links.signIn} className="inline-block py-1 underline">
          Back to sign-in
        </a>
      </p>
    </Frame>
  );
}

function Ask({ over }: { over: boolean }) {
  const { busy, refusal, send } = useSend();
  const [missing, setMissing] = useState<string>();
  const [asked, setAsked] = useState(false);
  if (asked) {
    return (
      <Page title="Look into your mail">
        <Notice kind="info">If somebody signs in with this address, a mail is on its way. Its link works once, within a day.</Notice>
      </Page>
    );
  }
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const email = String(new FormData(event.currentTarget).get('email')).trim();
    setMissing(email ? undefined : 'Enter your e-mail address.');
    if (email && (await send(() => data(api.POST('/v1/auth/password-reset', { body: { email } }))))) setAsked(true);
  }
  return (
    <Page title="Forgot your password?">
      <form method="post" noValidate onSubmit={(event) => void submit(event)} className="space-y-4">
        {over && !refusal && <Notice kind="bad">The link was used before, or is older than a day. Ask for another one.</Notice>}
        {refusal && <Notice kind="bad">{refusal}</Notice>}
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
          error={missing}
          hint="By which you sign in."
        />
        <Button type="submit" look="primary" className="w-full py-2 text-lg" busy={busy && 'Sending…'}>
          Send me a link
        </Button>
      </form>
    </Page>
  );
}

function Choose({ token, over }: { token: string; over: () => void }) {
  const { busy, refusal, send } = useSend();
  const [wrong, setWrong] = useState<string>();
  const [done, setDone] = useState(false);
  if (done) {
    return (
      <Page title="Your password is changed">
        <Notice kind="info">You are signed out everywhere. Sign in with the new one.</Notice>
      </Page>
    );
  }
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const new_password = String(new FormData(event.currentTarget).get('new-password'));
    const fault = lengthFault(new_password);
    setWrong(fault);
    if (fault) return;
    const call = () => data(api.POST('/v1/auth/password-reset/complete', { body: { token, new_password } }));
    const isOver = (slug: string) => {
      if (slug === 'token-expired') over();
      return slug === 'token-expired';
    };
    if (await send(call, isOver)) setDone(true);
  }
  return (
    <Page title="Choose a new password">
      <form method="post" noValidate onSubmit={(event) => void submit(event)} className="space-y-4">
        {refusal && <Notice kind="bad">{refusal}</Notice>}
        <NewPasswordField name="new-password" autoFocus error={wrong} />
        <Button type="submit" look="primary" className="w-full py-2 text-lg" busy={busy && 'Changing…'}>
          Change password
        </Button>
      </form>
    </Page>
  );
}
