import { useQuery } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { api, data } from '../api/client';
import { asProblem } from '../api/problem';
import type { InvitedTo } from '../api/types';
import { links } from '../links';
import { Button } from '../ui/Button';
import { Field } from '../ui/Field';
import { Notice } from '../ui/Notice';
import { Frame, Page, useSend } from './mailed';

const OVER = 'This invitation was used, cancelled, or is older than a day. Ask whoever invited you for another one.';

/** Where the link of an invitation leads: a password for who is new, one button for who is not. */
export function InvitePage({ token }: { token?: string }) {
  const [over, setOver] = useState(false);
  const found = useQuery({
    queryKey: ['invitation', token],
    queryFn: () => data(api.POST('/v1/auth/invitation', { body: { token: token ?? '' } })),
    enabled: token !== undefined,
    refetchOnWindowFocus: false, // accepted in another tab it is over, and this one would forget what it says
    staleTime: Infinity,
  });
  const refused = found.error && asProblem(found.error);
  return (
    <Frame>
      {!token || over || refused?.slug === 'token-expired' ?
        <Page title="This invitation is over">
          <Notice kind="bad">{OVER}</Notice>
        </Page>
      : refused ?
        <Page title="The invitation cannot be shown">
          <Notice kind="bad">{refused.sentence}</Notice>
          <Button look="primary" onClick={() => void found.refetch()}>
            Try again
          </Button>
        </Page>
      : found.data ?
        <Accept token={token} invited={found.data} over={() => setOver(true)} />
      : <p role="status">Looking for the invitation…</p>}
    </Frame>
  );
}

function Accept({ token, invited, over }: { token: string; invited: InvitedTo; over: () => void }) {
  const { busy, refusal, send } = useSend();
  const [wrong, setWrong] = useState<string>();
  const [done, setDone] = useState(false);
  const { tenant, email, has_account: known, password_characters: least } = invited;
  if (done) {
    return (
      <Page title={`You are in ${tenant.name}`}>
        <Notice kind="info">Sign in as {email}.</Notice>
        <a href={links.signIn} className="inline-block py-1 underline">
          Go to sign-in
        </a>
      </Page>
    );
  }
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const new_password = known ? undefined : String(new FormData(event.currentTarget).get('new-password'));
    const length = [...(new_password ?? '').normalize('NFC')].length;
    const short = new_password !== undefined && length < least;
    setWrong(short ? `Too short: ${length} of at least ${least} characters.` : undefined);
    if (short) return;
    const call = () => data(api.POST('/v1/auth/invitation/accept', { body: { token, new_password } }));
    const isOver = (slug: string) => {
      if (slug === 'token-expired') over();
      return slug === 'token-expired';
    };
    if (await send(call, isOver)) setDone(true);
  }
  return (
    <Page title={`Work in ${tenant.name}`}>
      <p className="text-mute">
        {known ? `You are invited as ${email}, by which you sign in already.` : `You are invited as ${email}. Choose a password to sign in with.`}
      </p>
      <form method="post" noValidate onSubmit={(event) => void submit(event)} className="space-y-4">
        {refusal && <Notice kind="bad">{refusal}</Notice>}
        {/* Tells a password manager whose password this is. */}
        <input type="text" name="username" autoComplete="username" value={email} readOnly hidden />
        {!known && (
          <Field
            label="Password"
            name="new-password"
            type="password"
            autoComplete="new-password"
            autoFocus
            error={wrong}
            hint={`At least ${least} characters. Any characters; a few words are fine.`}
          />
        )}
        <Button type="submit" look="primary" className="w-full py-2 text-lg" busy={busy && 'Accepting…'}>
          Accept
        </Button>
      </form>
    </Page>
  );
}
