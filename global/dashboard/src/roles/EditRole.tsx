import { useQueryClient } from '@tanstack/react-query';
import { api, data, onlyIf, tagged } from '../api/client';
import type { Role } from '../api/types';
import { EditDialog } from '../ui/EditDialog';
import { Field } from '../ui/Field';
import { chosen, text } from '../ui/form-state';
import { toast } from '../ui/Toasts';
import { PermissionPicker, permissionsCheck } from './PermissionPicker';

type Values = { '/description': string; '/permissions': readonly string[] };

/** What a role of the tenant's own holds, and what is said of it. */
export function EditRole({ role: { name, scope }, close }: { role: Role; close: () => void }) {
  const client = useQueryClient();
  const path = { name };
  return (
    <EditDialog<Role, Values>
      title={`Change ${name}`}
      intro="Holds for everybody who has it: here at once, and in connected regions within a second."
      read={() => tagged(api.GET('/v1/roles/{name}', { params: { path } }))}
      values={({ description, permissions }) => ({ '/description': description ?? '', '/permissions': permissions })}
      words={{
        '/description': { label: 'Purpose', say: (purpose) => purpose || 'none' },
        '/permissions': { label: 'Permissions', say: (names) => names.join(', ') },
      }}
      typed={(form) => ({ '/description': text(form, '/description'), '/permissions': chosen(form, '/permissions') })}
      check={permissionsCheck}
      fields={(values) => (
        <>
          <Field label="Purpose" name="/description" maxLength={500} autoComplete="off" hint="For people who give it." defaultValue={values['/description']} />
          <PermissionPicker scope={scope} chosen={values['/permissions']} />
        </>
      )}
      save={(changes, tag) => data(api.PATCH('/v1/roles/{name}', {
        params: { path, ...onlyIf(tag) },
        body: { description: changes['/description'] === '' ? null : changes['/description'], permissions: changes['/permissions']?.slice() },
      }))}
      done={() => {
        toast(`The role ${name} is changed.`);
        for (const key of ['roles', 'me']) void client.invalidateQueries({ queryKey: [key] });
        close();
      }}
      close={close}
    />
  );
}
