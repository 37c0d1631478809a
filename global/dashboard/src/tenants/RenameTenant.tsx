import { useQueryClient } from '@tanstack/react-query';
import { api, data, onlyIf, tagged } from '../api/client';
import type { Tenant } from '../api/types';
import { EditDialog } from '../ui/EditDialog';
import { Field } from '../ui/Field';
import { missing, text } from '../ui/form-state';
import { toast } from '../ui/Toasts';

/** Another name for people; the slug stays for ever. */
export function RenameTenant({ tenant: { id, name }, close }: { tenant: Tenant; close: () => void }) {
  const client = useQueryClient();
  const path = { id };
  return (
    <EditDialog
      title={`Rename ${name}`}
      intro="Connected regions learn of it within a second. The slug stays."
      read={() => tagged(api.GET('/v1/tenants/{id}', { params: { path } }))}
      values={(tenant) => ({ '/name': tenant.name })}
      words={{ '/name': { label: 'Name', say: (value) => value } }}
      typed={(form) => ({ '/name': text(form, '/name') })}
      check={(form) => missing(form, { '/name': 'Enter a name' })}
      fields={(values) => <Field label="Name" name="/name" defaultValue={values['/name']} autoComplete="off" autoFocus />}
      save={(changes, tag) => data(api.PATCH('/v1/tenants/{id}', { params: { path, ...onlyIf(tag) }, body: { name: changes['/name'] } }))}
      done={(now) => {
        toast(`The tenant is called ${now.name} now.`);
        void client.invalidateQueries({ queryKey: ['tenant'] });
        void client.invalidateQueries({ queryKey: ['tenants'] });
        close();
      }}
      close={close}
    />
  );
}
