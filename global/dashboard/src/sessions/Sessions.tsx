import { useQueryClient } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { data, type Outcome } from '../api/client';
import { asProblem } from '../api/problem';
import type { Rows } from '../api/pages';
import type { Session } from '../api/types';
import { Button } from '../ui/Button';
import { Confirm } from '../ui/Confirm';
import { Freshness } from '../ui/Freshness';
import { Section } from '../ui/Section';
import { toast } from '../ui/Toasts';
import { programOf } from './agent';
import { SessionsTable } from './SessionsTable';

type Props = {
  title: string;
  intro: string;
  list: Rows<Session>;
  tenantOf?: (id: string) => ReactNode;
  /** What ending them needs; absent for who only looks. */
  ends?: {
    one: (id: string) => Promise<Outcome<unknown>>;
    all: () => Promise<Outcome<{ ended: number }>>;
    /** What the button for all of them says, and what follows. */
    allWord: string;
    consequences: readonly string[];
    /** How many it would end, as far as they are loaded. */
    several: (sessions: Session[]) => boolean;
  };
};

/** Somebody's sessions, and ending one or all of them. */
export function Sessions({ title, intro, list, tenantOf, ends }: Props) {
  const client = useQueryClient();
  const [asked, setAsked] = useState(false);
  const renew = () => void client.invalidateQueries({ queryKey: ['sessions'] });

  async function end(session: Session): Promise<void> {
    if (!ends) return;
    try {
      await data(ends.one(session.id));
      toast(`The session of ${programOf(session.user_agent)} is over.`);
    } catch (error) {
      const problem = asProblem(error);
      toast(problem.status === 404 ? 'That session was over already.' : `The session goes on. ${problem.sentence}`);
    }
    renew();
  }

  return (
    <Section
      level={2}
      title={title}
      intro={intro}
      aside={
        <div className="flex flex-wrap items-center gap-3">
          <Freshness live={list.live} />
          {ends && ends.several(list.rows ?? []) && <Button onClick={() => setAsked(true)}>{ends.allWord}…</Button>}
        </div>
      }
    >
      <SessionsTable list={list} caption={title} tenantOf={tenantOf} end={ends && ((session) => void end(session))} />
      {asked && ends && (
        <Confirm
          title={ends.allWord}
          consequences={ends.consequences}
          submit={ends.allWord}
          busyLabel="Ending…"
          danger
          send={() => data(ends.all())}
          done={({ ended }) => {
            toast(ended === 1 ? 'One session is over.' : `${ended} sessions are over.`);
            renew();
            setAsked(false);
          }}
          close={() => setAsked(false)}
        />
      )}
    </Section>
  );
}
