import { useQueryClient } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { api, data } from '../api/client';
import type { Tenant } from '../api/types';
import { Confirm } from '../ui/Confirm';
import { Radios } from '../ui/Choices';
import { Field } from '../ui/Field';
import { text } from '../ui/form-state';
import { toast } from '../ui/Toasts';
import { causes, lookOfTenant, type Cause, type Step } from './state';

type Plan = { title: string; consequences: ReactNode[]; submit: string; busyLabel: string; danger?: boolean };

function planOf(step: Step, { name, state }: Tenant): Plan {
  const soon = 'Connected regions learn of it within a second.';
  switch (step) {
    case 'suspend':
      return {
        title: state === 'active' ? `Suspend ${name}` : `Suspend ${name} for another cause`,
        consequences: ['What it leaves to the tenant depends on the cause.', soon, 'It can be resumed at any time.'],
        submit: 'Suspend',
        busyLabel: 'Suspending…',
      };
    case 'resume':
      return {
        title: `Resume ${name}`,
        consequences: [
          'Everything works again: its people sign in and change things, its agents are granted leases.',
          soon,
        ],
        submit: 'Resume',
        busyLabel: 'Resuming…',
      };
    case 'delete':
      return {
        title: `Delete ${name}`,
        consequences: [
          'Its people can only export from now on.',
          'Its agents are granted no lease and renew none: its workloads stop in every region.',
          'It can be restored as long as nothing was purged.',
          'The slug is never given to another tenant.',
        ],
        submit: 'Delete tenant',
        busyLabel: 'Deleting…',
        danger: true,
      };
    case 'restore':
      return {
        title: `Restore ${name}`,
        consequences: ['Its deletion stops and it is put on hold, so that nothing deletes it while somebody looks.', 'Everything works while it is on hold; resume it then.', soon],
        submit: 'Restore',
        busyLabel: 'Restoring…',
      };
  }
}

/** One step of a tenant's life, with what follows from it and the reason that stands in both audits. */
export function LifeDialog({ tenant, step, close }: { tenant: Tenant; step: Step; close: () => void }) {
  const client = useQueryClient();
  const left = causes.filter(({ value }) => tenant.state !== `suspended(${value})`);
  const [cause, setCause] = useState<Cause>(left[0]?.value ?? 'billing');
  const params = { path: { id: tenant.id } };
  return (
    <Confirm
      {...planOf(step, tenant)}
      name={step === 'delete' ? tenant.slug : undefined}
      check={(form) => (text(form, '/reason') ? [] : [{ pointer: '/reason', reason: 'Say why, in one sentence' }])}
      send={(form) => {
        const reason = text(form, '/reason');
        switch (step) {
          case 'suspend':
            return data(api.POST('/v1/tenants/{id}/suspend', { params, body: { cause, reason } }));
          case 'resume':
            return data(api.POST('/v1/tenants/{id}/resume', { params, body: { reason } }));
          case 'delete':
            return data(api.POST('/v1/tenants/{id}/delete', { params, body: { reason } }));
          case 'restore':
            return data(api.POST('/v1/tenants/{id}/restore', { params, body: { reason } }));
        }
      }}
      done={(now: Tenant) => {
        toast(`${now.name}: ${lookOfTenant(now.state).word.toLowerCase()}.`);
        void client.invalidateQueries({ queryKey: ['tenant'] });
        void client.invalidateQueries({ queryKey: ['tenants'] });
        close();
      }}
      close={close}
    >
      {step === 'suspend' && (
        <Radios legend="Cause" name="/cause" choices={left} chosen={cause} onChange={(value) => setCause(value as Cause)} />
      )}
      <Field label="Reason" name="/reason" hint="One sentence for the audit of the provider and of the tenant." maxLength={200} autoComplete="off" autoFocus />
    </Confirm>
  );
}
