import { KeyRound, MonitorCheck } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Rows } from '../api/pages';
import type { Session } from '../api/types';
import { Button } from '../ui/Button';
import { EmptyState } from '../ui/EmptyState';
import { ListCard } from '../ui/ListCard';
import { StatusBadge } from '../ui/StatusBadge';
import type { Column } from '../ui/Table';
import { Time, Until } from '../ui/Time';
import { methodsOf, programOf } from './agent';

type Props = {
  list: Rows<Session>;
  caption: string;
  /** How a tenant is called here. Left out where all are of one. */
  tenantOf?: (id: string) => ReactNode;
  /** Absent where they cannot be ended. */
  end?: (session: Session) => void;
};

/** Where somebody is signed in. */
export function SessionsTable({ list, caption, tenantOf, end }: Props) {
  const columns: Column<Session>[] = [
    { key: 'program', header: 'Program', rowHeader: true, cell: (session) => <Program session={session} /> },
    ...(tenantOf ? [{ key: 'tenant', header: 'Tenant', wide: true, cell: ({ tenant }: Session) => (tenant ? tenantOf(tenant) : <span className="text-mute">none</span>) }] : []),
    { key: 'address', header: 'Address', wide: true, cell: ({ address }) => (address ? <span className="font-mono text-sm">{address}</span> : <span className="text-mute">unknown</span>) },
    { key: 'how', header: 'Signed in by', wide: true, cell: ({ amr }) => methodsOf(amr) },
    { key: 'since', header: 'Since', cell: ({ created_at }) => <Time at={created_at} /> },
    { key: 'ends', header: 'Ends', wide: true, cell: ({ expires_at }) => <Until at={expires_at} /> },
    ...(end ? [{ key: 'act', header: 'Actions', align: 'right' as const, cell: (session: Session) => (session.current ? null : <EndButton session={session} end={end} />) }] : []),
  ];
  return (
    <ListCard
      list={list}
      caption={caption}
      columns={columns}
      rowKey={({ id }) => id}
      what="The sessions"
      empty={
        <EmptyState Icon={KeyRound} title="Signed in nowhere">
          There is no session that has not ended.
        </EmptyState>
      }
    />
  );
}

function Program({ session }: { session: Session }) {
  const { user_agent, kind, current } = session;
  return (
    <span className="inline-flex flex-wrap items-center gap-x-2.5 gap-y-0.5">
      <span className="font-medium" title={user_agent ?? undefined}>
        {programOf(user_agent)}
      </span>
      <span className="text-sm text-mute">{kind === 'cookie' ? 'browser' : 'tokens'}</span>
      {current && <StatusBadge tone="ok" word="This one" Icon={MonitorCheck} title="The session with which you look at this page." />}
    </span>
  );
}

function EndButton({ session, end }: { session: Session; end: (session: Session) => void }) {
  return (
    <Button look="quiet" aria-label={`End the session of ${programOf(session.user_agent)}`} onClick={() => end(session)}>
      End
    </Button>
  );
}
