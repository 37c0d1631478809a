import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Building2, ShieldCheck, ShieldQuestionMark } from 'lucide-react';
import { useState } from 'react';
import { renewed } from '../api/live';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { LIST_EVERY_MS } from '../api/pages';
import { asProblem } from '../api/problem';
import type { TenantName } from '../api/types';
import { Trouble } from '../shell/Trouble';
import { Button } from '../ui/Button';
import { Card } from '../ui/Card';
import { EmptyState } from '../ui/EmptyState';
import { useLive } from '../ui/Freshness';
import { Fact, Facts, Page, Skeleton } from '../ui/Page';
import { Section } from '../ui/Section';
import { StatusBadge } from '../ui/StatusBadge';
import { DemandDialog } from './DemandDialog';
import { settingsQuery } from './queries';

/** What the tenant in force decides for its people. */
export function SettingsPage() {
  const { tenant } = useMe();
  if (tenant) return <OfTenant key={tenant.id} tenant={tenant} />;
  return (
    <Page title="Settings">
      <Card>
        <EmptyState Icon={Building2} title="No tenant is in force">
          Choose one at the top of the page to see its settings.
        </EmptyState>
      </Card>
    </Page>
  );
}

function OfTenant({ tenant }: { tenant: TenantName }) {
  const me = useMe();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const query = useQuery({ ...settingsQuery(me), refetchInterval: renewed(LIST_EVERY_MS) });
  const live = useLive(query, LIST_EVERY_MS);
  const required = query.data?.value.second_factor === 'required';
  if (query.isError && !query.data) return <Trouble heading="h1" title="The settings could not be loaded" problem={asProblem(query.error)} again={() => void query.refetch()} />;
  if (!query.data) return <Skeleton />;
  return (
    <Page title="Settings" intro={`What ${tenant.name} decides for its people.`} live={live}>
      <Section level={2} title="Second factor" intro="A code of an authenticator app, asked for after the password.">
        <Card>
          <Facts>
            <Fact name="In this tenant">
              {required ? <StatusBadge tone="ok" word="Required" Icon={ShieldCheck} /> : <StatusBadge tone="warn" word="Optional" Icon={ShieldQuestionMark} />}
            </Fact>
            <Fact name="Who is asked for a code">{required ? 'Everybody, at each sign-in' : 'Who has set up an app'}</Fact>
            <Fact name="Who has no app">{required ? 'Sets one up at the next sign-in' : 'Signs in with the password alone'}</Fact>
            <Fact name="New passwords">{required ? '12 characters at least' : '15 characters at least'}</Fact>
          </Facts>
          {may(me, 'settings.update') && (
            <div className="border-t border-line px-4 py-3">
              <Button onClick={() => setOpen(true)}>{required ? 'Make it optional…' : 'Require it of everybody…'}</Button>
            </div>
          )}
        </Card>
      </Section>
      {open && (
        <DemandDialog
          tenant={tenant}
          tag={query.data.tag}
          required={!required}
          done={() => {
            void client.invalidateQueries({ queryKey: ['settings'] });
            void client.invalidateQueries({ queryKey: ['second-factor'] });
            setOpen(false);
          }}
          close={() => setOpen(false)}
        />
      )}
    </Page>
  );
}
