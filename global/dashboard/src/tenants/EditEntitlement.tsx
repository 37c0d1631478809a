import { useQueryClient } from '@tanstack/react-query';
import { api, data, onlyIf, tagged } from '../api/client';
import type { Entitlement, Tenant } from '../api/types';
import { EditDialog } from '../ui/EditDialog';
import { instant, localMinute, momentWord, text } from '../ui/form-state';
import { toast } from '../ui/Toasts';
import { LimitFields, limitsCheck, MomentField } from './fields';

const limit = (n: number | null | undefined): string => (n == null ? '' : String(n));
/** What a field says of a limit, as the request has it: absent stays as it is, null is none. */
const sent = (value: string | undefined): number | null | undefined => (value === undefined ? undefined : value === '' ? null : Number(value));
const atMost = (value: string): string => value || 'no limit';

/** Another end, other limits. What is there above a new limit stays. */
export function EditEntitlement({ tenant, entitlement, close }: { tenant: Tenant; entitlement: Entitlement; close: () => void }) {
  const client = useQueryClient();
  const path = { id: tenant.id, entitlement: entitlement.id };
  const { slug } = entitlement.region;
  return (
    <EditDialog
      title={`Entitlement of ${tenant.name} to ${slug}`}
      intro="A connected region learns of it within a second. What the tenant has there above a new limit stays."
      read={() => tagged(api.GET('/v1/tenants/{id}/entitlements/{entitlement}', { params: { path } }))}
      values={({ until, limits }) => ({
        '/until': localMinute(until), '/limits/clusters': limit(limits.clusters), '/limits/hosts': limit(limits.hosts), '/limits/leases': limit(limits.leases),
      })}
      words={{
        '/until': { label: 'Until', say: momentWord },
        '/limits/clusters': { label: 'Clusters', say: atMost },
        '/limits/hosts': { label: 'Hosts', say: atMost },
        '/limits/leases': { label: 'Leases', say: atMost },
      }}
      typed={(form) => ({
        '/until': text(form, '/until'), '/limits/clusters': text(form, '/limits/clusters'), '/limits/hosts': text(form, '/limits/hosts'), '/limits/leases': text(form, '/limits/leases'),
      })}
      check={limitsCheck}
      fields={(values) => (
        <>
          <MomentField label="Until" name="/until" hint="Open, when left empty." minute={values['/until']} autoFocus />
          <LimitFields limits={{ clusters: values['/limits/clusters'], hosts: values['/limits/hosts'], leases: values['/limits/leases'] }} />
        </>
      )}
      save={(changes, tag) => data(api.PATCH('/v1/tenants/{id}/entitlements/{entitlement}', {
        params: { path, ...onlyIf(tag) },
        body: {
          until: instant(changes['/until']),
          limits: { clusters: sent(changes['/limits/clusters']), hosts: sent(changes['/limits/hosts']), leases: sent(changes['/limits/leases']) },
        },
      }))}
      done={() => {
        toast(`The entitlement to ${slug} is changed.`);
        void client.invalidateQueries({ queryKey: ['entitlements'] });
        close();
      }}
      close={close}
    />
  );
}
