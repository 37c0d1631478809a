import { useQueryClient } from '@tanstack/react-query';
import { api, data, onlyIf, tagged } from '../api/client';
import type { Membership } from '../api/types';
import { EditDialog } from '../ui/EditDialog';
import { Field } from '../ui/Field';
import { missing, text } from '../ui/form-state';
import { toast } from '../ui/Toasts';

/** How a person is shown. Who belongs to others too is not one tenant's to rename: then the server says so. */
export function RenamePerson({ user: { id, display_name }, close }: { user: Membership['user']; close: () => void }) {
  const client = useQueryClient();
  const path = { id };
  return (
    <EditDialog
      title={`Rename ${display_name}`}
      intro="How the person is shown. The address by which they sign in stays."
      read={() => tagged(api.GET('/v1/users/{id}', { params: { path } }))}
      values={(person) => ({ '/display_name': person.display_name })}
      words={{ '/display_name': { label: 'Display name', say: (value) => value } }}
      typed={(form) => ({ '/display_name': text(form, '/display_name') })}
      check={(form) => missing(form, { '/display_name': 'Enter the name' })}
      fields={(values) => <Field label="Display name" name="/display_name" defaultValue={values['/display_name']} autoComplete="off" autoFocus />}
      save={(changes, tag) => data(api.PATCH('/v1/users/{id}', { params: { path, ...onlyIf(tag) }, body: { display_name: changes['/display_name'] } }))}
      done={(now) => {
        toast(`The person is shown as ${now.display_name} now.`);
        void client.invalidateQueries({ queryKey: ['memberships'] });
        void client.invalidateQueries({ queryKey: ['me'] });
        close();
      }}
      close={close}
    />
  );
}
