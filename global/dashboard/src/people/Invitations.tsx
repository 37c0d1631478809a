import { useQueryClient } from '@tanstack/react-query';
import { Mail, MailX } from 'lucide-react';
import { useState } from 'react';
import { api, data } from '../api/client';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { usePages } from '../api/pages';
import { asProblem } from '../api/problem';
import type { Invitation } from '../api/types';
import { Button } from '../ui/Button';
import { Confirm } from '../ui/Confirm';
import { Freshness } from '../ui/Freshness';
import { ListCard } from '../ui/ListCard';
import { Section } from '../ui/Section';
import { StatusBadge } from '../ui/StatusBadge';
import type { Column } from '../ui/Table';
import { Time, Until } from '../ui/Time';
import { toast } from '../ui/Toasts';
import { roleWord } from '../roles/words';

/** Who was invited and has not come yet; nothing at all while there is nobody. */
export function Invitations({ tenant }: { tenant: { id: string; name: string } }) {
  const me = useMe();
  const client = useQueryClient();
  const list = usePages<Invitation>(['invitations', me.user.id, tenant.id], { path: '/v1/invitations' }, (query, signal) => api.GET('/v1/invitations', { params: { query }, signal }));
  const [busy, setBusy] = useState<string>();
  const [cancelled, setCancelled] = useState<Invitation>();
  const renew = () => void client.invalidateQueries({ queryKey: ['invitations'] });

  async function resend({ id, email }: Invitation): Promise<void> {
    setBusy(id);
    try {
      await data(api.POST('/v1/invitations/{id}/resend', { params: { path: { id } } }));
      toast(`Another mail is on its way to ${email}. The link in the one before is worth nothing now.`);
    } catch (error) {
      const problem = asProblem(error);
      toast(problem.status === 404 ? 'That invitation was accepted or cancelled meanwhile.' : `No mail was sent to ${email}. ${problem.sentence}`);
    }
    setBusy(undefined);
    renew();
  }

  const columns: Column<Invitation>[] = [
    { key: 'who', header: 'Invited', rowHeader: true, cell: (invitation) => <Who invitation={invitation} /> },
    { key: 'roles', header: 'Roles', wide: true, cell: ({ roles }) => roles.map(roleWord).join(', ') },
    { key: 'state', header: 'State', cell: (invitation) => <State invitation={invitation} /> },
    { key: 'by', header: 'By', wide: true, cell: ({ invited_by: by }) => by?.display_name ?? <span className="text-mute">somebody who is gone</span> },
    { key: 'since', header: 'Since', wide: true, cell: ({ created_at }) => <Time at={created_at} /> },
    ...(may(me, 'user.invite') ? [{ key: 'act', header: 'Actions', align: 'right' as const, cell: (invitation: Invitation) => (
      <span className="inline-flex justify-end max-sm:flex-col">
        {may(me, 'membership.grant') && (
          <Button look="quiet" busy={busy === invitation.id && 'Sending…'} aria-label={`Send the invitation of ${invitation.email} again`} onClick={() => void resend(invitation)}>
            Send again
          </Button>
        )}
        <Button look="quiet" aria-label={`Cancel the invitation of ${invitation.email}`} onClick={() => setCancelled(invitation)}>
          Cancel…
        </Button>
      </span>
    ) }] : []),
  ];
  if (!list.problem && !list.rows?.length) return null;
  return (
    <Section level={2} title="Invitations" intro="Sent by mail, and not accepted yet. A link is good for a day." aside={<Freshness live={list.live} />}>
      <ListCard list={list} caption={`Invitations to ${tenant.name}`} columns={columns} rowKey={({ id }) => id} what="The invitations" empty={null} />
      {cancelled && (
        <Confirm
          title={`Cancel the invitation of ${cancelled.email}`}
          consequences={['The link in the mail is worth nothing from then on.', 'The same address can be invited again.']}
          submit="Cancel invitation"
          cancelWord="Keep it"
          busyLabel="Cancelling…"
          danger
          send={() => data(api.DELETE('/v1/invitations/{id}', { params: { path: { id: cancelled.id } } }))}
          done={() => {
            toast(`The invitation of ${cancelled.email} is cancelled.`);
            renew();
            setCancelled(undefined);
          }}
          close={() => setCancelled(undefined)}
        />
      )}
    </Section>
  );
}

function Who({ invitation: { email, display_name } }: { invitation: Invitation }) {
  return (
    <span className="inline-flex flex-wrap items-baseline gap-x-2.5">
      <span className="font-medium">{display_name}</span>
      <span className="text-sm break-all text-mute">{email}</span>
    </span>
  );
}

function State({ invitation: { state, expires_at } }: { invitation: Invitation }) {
  const over = state === 'expired';
  return (
    <span className="inline-flex flex-wrap items-center gap-x-2.5 gap-y-0.5">
      <StatusBadge tone={over ? 'warn' : 'off'} word={over ? 'Expired' : 'Pending'} Icon={over ? MailX : Mail} title={over ? 'The link in the mail is too old: send it again, or cancel.' : 'The link in the mail can be followed.'} />
      <span className="text-sm text-mute">
        {!over && 'ends '}
        <Until at={expires_at} />
      </span>
    </span>
  );
}
