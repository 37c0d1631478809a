import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api, data, once } from '../api/client';
import { useMe } from '../api/me';
import { asProblem } from '../api/problem';
import { federationQuery } from '../api/queries';
import type { Tenant } from '../api/types';
import { Select } from '../ui/Choices';
import { Dialog } from '../ui/Dialog';
import { Form } from '../ui/Form';
import { missing, moment, text } from '../ui/form-state';
import { Notice } from '../ui/Notice';
import { toast } from '../ui/Toasts';
import { LimitFields, limitsCheck, limitsOf, MomentField } from './fields';

/** Whether a tenant can be newly entitled to a region of that stage of life. */
const open = (lifecycle: string): boolean => lifecycle !== 'draining' && lifecycle !== 'removed';

/** Entitles a tenant to one more region. */
export function GrantDialog({ tenant, taken, close }: { tenant: Tenant; taken: readonly string[]; close: () => void }) {
  const client = useQueryClient();
  const regions = useQuery(federationQuery(useMe()));
  const left = (regions.data ?? []).filter(({ slug, lifecycle }) => open(lifecycle) && !taken.includes(slug));
  return (
    <Dialog title={`Entitle ${tenant.name} to a region`} intro="A connected region learns of it within a second." close={close} wide>
      {regions.isError && !regions.data ? (
        <Notice kind="bad">{asProblem(regions.error).sentence}</Notice>
      ) : regions.data && left.length === 0 ? (
        <Notice kind="info">{tenant.name} is entitled to every region that is not being drained or removed.</Notice>
      ) : (
        <Form
          submit="Entitle"
          busyLabel="Entitling…"
          cancel={close}
          check={(form) => [...missing(form, { '/region': 'Choose a region' }), ...limitsCheck(form)]}
          send={(form, key) => data(api.POST('/v1/tenants/{id}/entitlements', {
            params: { path: { id: tenant.id }, ...once(key) },
            body: { region: text(form, '/region'), from: moment(form, '/from'), until: moment(form, '/until'), limits: limitsOf(form) },
          }))}
          done={({ region }) => {
            toast(`${tenant.name} is entitled to ${region.slug}.`);
            void client.invalidateQueries({ queryKey: ['entitlements'] });
            close();
          }}
        >
          <Select
            label="Region"
            name="/region"
            autoFocus
            options={[
              { value: '', label: regions.data ? 'Choose…' : 'Loading…' },
              ...left.map(({ slug, name }) => ({ value: slug, label: `${name} (${slug})` })),
            ]}
          />
          <div className="grid gap-4 sm:grid-cols-2">
            <MomentField label="From" name="/from" hint="Now, when left empty." />
            <MomentField label="Until" name="/until" hint="Open, when left empty." />
          </div>
          <LimitFields />
        </Form>
      )}
    </Dialog>
  );
}
