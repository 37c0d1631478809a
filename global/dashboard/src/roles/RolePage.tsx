import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { Lock } from 'lucide-react';
import { useState } from 'react';
import { useLiveList } from '../api/live';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { LIST_EVERY_MS } from '../api/pages';
import { asProblem, Problem } from '../api/problem';
import type { Membership, Role } from '../api/types';
import { links } from '../links';
import { membershipsQuery } from '../people/queries';
import { Trouble } from '../shell/Trouble';
import { Button } from '../ui/Button';
import { ButtonLink } from '../ui/ButtonLink';
import { Card } from '../ui/Card';
import { Fact, Facts, Page, Skeleton } from '../ui/Page';
import { Section } from '../ui/Section';
import { StatusBadge } from '../ui/StatusBadge';
import { Time, Until } from '../ui/Time';
import { DeleteRole } from './DeleteRole';
import { EditRole } from './EditRole';
import { Holdings } from './Holdings';
import { rolesPath, rolesQuery } from './queries';
import { beyond, beyondWord, roleWord, scopeWord } from './words';

const route = getRouteApi('/shell/roles/$name');
const back = { to: links.roles, label: 'Roles' } as const;
const gone = new Problem('role-not-found', 404, 'The tenant in force has no role of this name.');

/** One role: what it holds, who has it, and for one of the tenant's own what can be done with it. */
export function RolePage() {
  const { name } = route.useParams();
  const me = useMe();
  const { query, live } = useLiveList(rolesQuery(me), rolesPath, LIST_EVERY_MS);
  const members = useQuery({ ...membershipsQuery(me), enabled: me.tenant != null && may(me, 'membership.list') });
  const role = query.data?.find((each) => each.name === name);
  const again = () => void query.refetch();
  if (query.isError && !query.data) return <Trouble heading="h1" title="The role could not be loaded" problem={asProblem(query.error)} again={again} />;
  if (me.tenant && !query.data) return <Skeleton />;
  if (!role) return <Trouble heading="h1" problem={gone} again={again} />;
  const holders = members.data?.filter(({ roles }) => roles.includes(name));
  return (
    <Page
      title={roleWord(name)}
      back={back}
      badge={role.kind === 'preset' && <StatusBadge tone="off" word="Preset" Icon={Lock} title="The same in every tenant, and not to be changed." />}
      intro={role.description}
      actions={<Actions role={role} holders={holders} />}
      live={live}
    >
      <Card>
        <Facts>
          <Fact name="Name">
            <code className="font-mono text-sm">{role.name}</code>
          </Fact>
          <Fact name="Given in">{scopeWord(role.scope)}</Fact>
          <Fact name="Holds">{role.permissions.length === 1 ? '1 permission' : `${role.permissions.length} permissions`}</Fact>
          <Fact name="Made">{role.created_at ? <Time at={role.created_at} /> : 'By Exarch, for every tenant'}</Fact>
        </Facts>
      </Card>
      <Section level={2} title="What it holds">
        <Holdings role={role} />
      </Section>
      {may(me, 'membership.list') && (
        <Section level={2} title="Who has it">
          <Card className="px-4 py-3">
            <Holders role={role} holders={holders} />
          </Card>
        </Section>
      )}
    </Page>
  );
}

function Holders({ role, holders }: { role: Role; holders: Membership[] | undefined }) {
  if (role.scope === 'cluster') return <p className="text-mute">It is given in single clusters, and their regions know to whom: see the console of each region.</p>;
  if (!holders) return <p className="text-mute">Loading…</p>;
  if (holders.length === 0) return <p className="text-mute">Nobody. It is given where a person’s membership is changed.</p>;
  return (
    <ul className="space-y-1">
      {holders.map(({ id, user, until, regions }) => (
        <li key={id}>
          <Link to={links.person} params={{ id }} className="rounded font-medium hover:underline">
            {user.display_name}
          </Link>{' '}
          <span className="text-sm break-all text-mute">
            {user.email}
            {regions && `, in ${regions.length === 1 ? 'one region' : `${regions.length} regions`}`}
            {until && (
              <>
                , ends <Until at={until} />
              </>
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Actions({ role, holders }: { role: Role; holders: Membership[] | undefined }) {
  const me = useMe();
  const [open, setOpen] = useState<'edit' | 'delete'>();
  const close = () => setOpen(undefined);
  const own = role.kind === 'custom';
  const lacking = beyond(role, me.held);
  const changes = own && may(me, 'role.update');
  return (
    <>
      {may(me, 'role.create') && (
        <ButtonLink to={links.newRole} search={{ from: role.name }}>
          Make one like it
        </ButtonLink>
      )}
      {changes && (
        <Button aria-disabled={lacking.length > 0 || undefined} aria-describedby={lacking.length > 0 ? 'beyond' : undefined} onClick={() => setOpen('edit')}>
          Change…
        </Button>
      )}
      {own && may(me, 'role.delete') && (
        <Button className="text-bad" onClick={() => setOpen('delete')}>
          Delete…
        </Button>
      )}
      {changes && lacking.length > 0 && (
        <p id="beyond" className="w-full text-sm text-mute">
          You cannot change it. {beyondWord(lacking)}
        </p>
      )}
      {open === 'edit' && <EditRole role={role} close={close} />}
      {open === 'delete' && <DeleteRole role={role} holders={holders ?? []} close={close} />}
    </>
  );
}
