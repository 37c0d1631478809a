import { api, data, onlyIf, tagged } from '../api/client';
import type { Tenant } from '../api/types';
import { RenameDialog } from '../ui/RenameDialog';

/** Another name for people; the slug stays for ever. */
export function RenameTenant({ tenant: { id, name }, close }: { tenant: Tenant; close: () => void }) {
  const path = { id };
  return (
    <RenameDialog
      called={name}
      intro="Connected regions learn of it within a second. The slug stays."
      label="Name"
      member="name"
      read={() => tagged(api.GET('/v1/tenants/{id}', { params: { path } }))}
      save={(body, tag) => data(api.PATCH('/v1/tenants/{id}', { params: { path, ...onlyIf(tag) }, body }))}
      told={(now) => `The tenant is called ${now} now.`}
      shownIn={['tenant', 'tenants']}
      close={close}
    />
  );
}
