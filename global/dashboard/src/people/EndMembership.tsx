import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { api, data } from '../api/client';
import { useMe } from '../api/me';
import type { Membership } from '../api/types';
import { links } from '../links';
import { Confirm } from '../ui/Confirm';
import { toast } from '../ui/Toasts';

/** Ends a membership, one's own too. */
export function EndMembership({ membership, close }: { membership: Membership; close: () => void }) {
  const me = useMe();
  const client = useQueryClient();
  const navigate = useNavigate();
  const { user } = membership;
  const mine = user.id === me.user.id;
  const tenant = me.tenant?.name ?? 'the tenant';
  return (
    <Confirm
      title={mine ? `Leave ${tenant}` : `End the membership of ${user.display_name}`}
      consequences={[
        mine ? `You lose your roles in ${tenant} and are signed out of it at once.` : `${user.display_name} loses all roles in ${tenant} and is signed out of it at once.`,
        'Connected regions learn of it within a second.',
        'The account stays, with its other tenants. A new membership can be given later.',
      ]}
      submit="End membership"
      busyLabel="Ending…"
      danger
      name={user.email}
      send={() => data(api.DELETE('/v1/tenants/{id}/memberships/{membership}', { params: { path: { id: me.tenant?.id ?? '', membership: membership.id } } }))}
      done={() => {
        toast(`${user.display_name} is no longer a member.`);
        void navigate({ to: links.people });
        void client.invalidateQueries({ queryKey: ['memberships'] });
      }}
      close={close}
    />
  );
}
