import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useLiveList } from '../api/live';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { LIST_EVERY_MS } from '../api/pages';
import { asProblem, Problem } from '../api/problem';
import { myRegionsQuery } from '../api/queries';
import type { Membership } from '../api/types';
import { links } from '../links';
import { Trouble } from '../shell/Trouble';
import { MemberSessions } from '../sessions/MemberSessions';
import { Button } from '../ui/Button';
import { Card } from '../ui/Card';
import { Fact, Facts, Page, Skeleton } from '../ui/Page';
import { Time, Until } from '../ui/Time';
import { EditMembership } from './EditMembership';
import { EndMembership } from './EndMembership';
import { Disabled } from './PeoplePage';
import { membershipsPath, membershipsQuery } from './queries';
import { RenamePerson } from './RenamePerson';
import { roleWord } from '../roles/words';

const route = getRouteApi('/shell/people/$id');
const back = { to: links.people, label: 'People' } as const;
const gone = new Problem('membership-not-found', 404, 'The tenant in force has no such membership, or it has ended.');

/** One membership: whose, with which roles, where and until when; and where that person is signed in. */
export function PersonPage() {
  const { id } = route.useParams();
  const me = useMe();
  const { query, live } = useLiveList(membershipsQuery(me), membershipsPath(me), LIST_EVERY_MS);
  const membership = query.data?.find((each) => each.id === id);
  const again = () => void query.refetch();
  if (query.isError && !query.data) return <Trouble heading="h1" title="The person could not be loaded" problem={asProblem(query.error)} again={again} />;
  if (me.tenant && !query.data) return <Skeleton />;
  if (!membership) return <Trouble heading="h1" problem={gone} again={again} />;
  const { user } = membership;
  return (
    <Page
      title={user.display_name}
      back={back}
      badge={user.state !== 'active' && <Disabled />}
      intro={user.email}
      actions={<Actions membership={membership} />}
      live={live}
    >
      <Card>
        <Facts>
          <Fact name="Roles">
            <Roles roles={membership.roles} />
          </Fact>
          <Fact name="Regions">
            <Regions regions={membership.regions} />
          </Fact>
          <Fact name="Until">{membership.until ? <Until at={membership.until} /> : 'open'}</Fact>
          <Fact name="Member">
            <Time at={membership.created_at} />
          </Fact>
        </Facts>
      </Card>
      {may(me, 'session.list') && <MemberSessions user={user} />}
    </Page>
  );
}

function Roles({ roles }: { roles: readonly string[] }) {
  const linked = may(useMe(), 'role.list');
  if (roles.length === 0) return <span className="text-mute">None in the whole tenant</span>;
  return roles.map((name, n) => (
    <span key={name}>
      {n > 0 && ', '}
      {linked ? (
        <Link to={links.role} params={{ name }} className="rounded underline decoration-line underline-offset-2 hover:decoration-current">
          {roleWord(name)}
        </Link>
      ) : (
        roleWord(name)
      )}
    </span>
  ));
}

function Regions({ regions }: { regions: Membership['regions'] }) {
  const known = useQuery(myRegionsQuery(useMe()));
  if (!regions) return <>All of the tenant</>;
  return <>{regions.map((id) => known.data?.find((region) => region.id === id)?.name ?? id).join(', ')}</>;
}

type Open = 'roles' | 'name' | 'end';

function Actions({ membership }: { membership: Membership }) {
  const me = useMe();
  const [open, setOpen] = useState<Open>();
  const close = () => setOpen(undefined);
  return (
    <>
      {may(me, 'user.update') && <Button onClick={() => setOpen('name')}>Rename…</Button>}
      {may(me, 'membership.grant') && <Button onClick={() => setOpen('roles')}>Change membership…</Button>}
      {may(me, 'membership.revoke') && (
        <Button className="text-bad" onClick={() => setOpen('end')}>
          End membership…
        </Button>
      )}
      {open === 'name' && <RenamePerson user={membership.user} close={close} />}
      {open === 'roles' && <EditMembership membership={membership} close={close} />}
      {open === 'end' && <EndMembership membership={membership} close={close} />}
    </>
  );
}
