import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { all, api, data } from '../api/client';
import { useMe } from '../api/me';
import { may } from '../api/may';
import type { Membership, Role } from '../api/types';
import { links } from '../links';
import { Button } from '../ui/Button';
import { Confirm } from '../ui/Confirm';
import { Dialog } from '../ui/Dialog';
import { toast } from '../ui/Toasts';

/** Deletes a role that nobody has; or says who has it. */
export function DeleteRole({ role, holders, close }: { role: Role; holders: readonly Membership[]; close: () => void }) {
  const me = useMe();
  const client = useQueryClient();
  const navigate = useNavigate();
  const path = { name: role.name };
  const invitations = useQuery({
    queryKey: ['invitations', me.user.id, me.tenant?.id, 'all'],
    queryFn: () => all((query) => api.GET('/v1/invitations', { params: { query } })),
    enabled: may(me, 'user.list'),
  });
  const invited = invitations.data?.filter(({ roles }) => roles.includes(role.name)) ?? [];
  if (holders.length + invited.length > 0) {
    return (
      <Dialog title={`${role.name} is in use`} intro="A role that somebody has is not deleted: take it away first." close={close} light>
        <ul className="space-y-1">
          {holders.map(({ id, user }) => (
            <li key={id}>
              <Link to={links.person} params={{ id }} className="underline">
                {user.display_name}
              </Link>
            </li>
          ))}
          {invited.map(({ id, email }) => (
            <li key={id}>
              Invited: <span className="break-all">{email}</span>
            </li>
          ))}
        </ul>
        <div className="flex justify-end">
          <Button onClick={close}>Close</Button>
        </div>
      </Dialog>
    );
  }
  return (
    <Confirm
      title={`Delete the role ${role.name}`}
      consequences={[
        'It can be given to nobody from then on. Its name is free for another role.',
        role.scope === 'cluster' ? 'Who still has it in a cluster loses by that what it holds, in connected regions within a second.' : 'Nobody loses anything: nobody has it.',
      ]}
      submit="Delete role"
      busyLabel="Deleting…"
      danger
      name={role.name}
      send={() => data(api.DELETE('/v1/roles/{name}', { params: { path } }))}
      done={() => {
        toast(`The role ${role.name} is deleted.`);
        void navigate({ to: links.roles });
        void client.invalidateQueries({ queryKey: ['roles'] });
      }}
      close={close}
    />
  );
}
