import { api, data, onlyIf, tagged } from '../api/client';
import type { Membership } from '../api/types';
import { RenameDialog } from '../ui/RenameDialog';

/** How a person is shown. Who belongs to others too is not one tenant's to rename: then the server says so. */
export function RenamePerson({ user: { id, display_name }, close }: { user: Membership['user']; close: () => void }) {
  const path = { id };
  return (
    <RenameDialog
      called={display_name}
      intro="How the person is shown. The address by which they sign in stays."
      label="Display name"
      member="display_name"
      read={() => tagged(api.GET('/v1/users/{id}', { params: { path } }))}
      save={(body, tag) => data(api.PATCH('/v1/users/{id}', { params: { path, ...onlyIf(tag) }, body }))}
      told={(name) => `The person is shown as ${name} now.`}
      shownIn={['memberships', 'me']}
      close={close}
    />
  );
}
