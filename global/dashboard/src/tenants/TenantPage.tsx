import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useLiveItem } from '../api/live';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { LIST_EVERY_MS } from '../api/pages';
import { asProblem } from '../api/problem';
import type { Tenant } from '../api/types';
import { links } from '../links';
import { Trouble } from '../shell/Trouble';
import { Button } from '../ui/Button';
import { Card } from '../ui/Card';
import { Notice } from '../ui/Notice';
import { Fact, Facts, Page, Skeleton } from '../ui/Page';
import { Time } from '../ui/Time';
import { Entitlements } from './Entitlements';
import { LifeDialog } from './LifeDialog';
import { tenantQuery } from './queries';
import { RenameTenant } from './RenameTenant';
import { lookOfTenant, needs, stepsFrom, type Step } from './state';
import { TenantState } from './TenantsPage';

const route = getRouteApi('/shell/tenants/$slug');
const back = { to: links.tenants, label: 'Tenants' } as const;

/** One tenant as staff see it: where it stands, what can be done about that, and which regions it may use. */
export function TenantPage() {
  const { slug } = route.useParams();
  const me = useMe();
  const { query, live } = useLiveItem(tenantQuery(me, slug), `/v1/tenants?search=${encodeURIComponent(slug)}`, LIST_EVERY_MS, (tenant) => tenant.slug === slug);
  if (!query.data) {
    return query.isError ? <Trouble heading="h1" title="The tenant could not be loaded" problem={asProblem(query.error)} again={() => void query.refetch()} /> : <Skeleton />;
  }
  const tenant = query.data;
  return (
    <Page title={tenant.name} back={back} badge={<TenantState state={tenant.state} />} intro={<span className="font-mono text-sm">{tenant.slug}</span>} actions={<Steps tenant={tenant} />} live={live}>
      <div className="space-y-3">
        {tenant.state !== 'active' && <Notice kind={tenant.state === 'deleted' ? 'info' : 'warn'}>{lookOfTenant(tenant.state).meaning}</Notice>}
        <Card>
          <Facts>
            <Fact name="State">{lookOfTenant(tenant.state).word}</Fact>
            <Fact name="Since">
              <Time at={tenant.state_since} />
            </Fact>
            <Fact name="Created">
              <Time at={tenant.created_at} />
            </Fact>
            <Fact name="Id">
              <code className="font-mono text-xs break-all">{tenant.id}</code>
            </Fact>
          </Facts>
        </Card>
      </div>
      {may(me, 'entitlement.list') && <Entitlements tenant={tenant} />}
    </Page>
  );
}

const words: Record<Step, string> = { suspend: 'Suspend…', resume: 'Resume…', delete: 'Delete…', restore: 'Restore…' };

function Steps({ tenant }: { tenant: Tenant }) {
  const me = useMe();
  const [step, setStep] = useState<Step | 'rename'>();
  const steps = stepsFrom(tenant.state).filter((each) => may(me, needs[each]));
  const over = tenant.state === 'deleting' || tenant.state === 'deleted';
  return (
    <>
      {may(me, 'tenant.update') && !over && <Button onClick={() => setStep('rename')}>Rename…</Button>}
      {steps.map((each) => (
        <Button key={each} onClick={() => setStep(each)} className={each === 'delete' ? 'text-bad' : undefined}>
          {each === 'suspend' && tenant.state !== 'active' ? 'Change the cause…' : words[each]}
        </Button>
      ))}
      {step === 'rename' && <RenameTenant tenant={tenant} close={() => setStep(undefined)} />}
      {step && step !== 'rename' && <LifeDialog tenant={tenant} step={step} close={() => setStep(undefined)} />}
    </>
  );
}
