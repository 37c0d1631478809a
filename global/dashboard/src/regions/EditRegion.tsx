import { useQueryClient } from '@tanstack/react-query';
import { api, data, onlyIf, tagged } from '../api/client';
import type { Region } from '../api/types';
import { EditDialog } from '../ui/EditDialog';
import { Field } from '../ui/Field';
import { missing, text } from '../ui/form-state';
import { toast } from '../ui/Toasts';
import { PlaceFields } from './fields';

/** Another name, another place; the slug stays for ever. */
export function EditRegion({ region: { slug, name }, close }: { region: Region; close: () => void }) {
  const client = useQueryClient();
  const path = { slug };
  return (
    <EditDialog
      title={`Edit ${name}`}
      intro="The slug stays. People are led to a new address from now on; the region itself has to answer there."
      read={() => tagged(api.GET('/v1/regions/{slug}', { params: { path } }))}
      // A console that is where the region is was not given, as far as anybody can tell.
      values={({ name, url, console_url }) => ({ '/name': name, '/url': url, '/console_url': console_url.replace(/\/$/, '') === url ? '' : console_url })}
      words={{
        '/name': { label: 'Name', say: (value) => value },
        '/url': { label: 'Address', say: (value) => value },
        '/console_url': { label: 'Console', say: (value) => value || 'the same as the address' },
      }}
      typed={(form) => ({ '/name': text(form, '/name'), '/url': text(form, '/url'), '/console_url': text(form, '/console_url') })}
      check={(form) => missing(form, { '/name': 'Enter a name', '/url': 'Enter the address' })}
      fields={(values) => (
        <>
          <Field label="Name" name="/name" hint="For people." defaultValue={values['/name']} autoComplete="off" autoFocus />
          <PlaceFields url={values['/url']} console={values['/console_url']} />
        </>
      )}
      save={(changes, tag) => data(api.PATCH('/v1/regions/{slug}', {
        params: { path, ...onlyIf(tag) },
        body: { name: changes['/name'], url: changes['/url'], console_url: changes['/console_url'] === '' ? null : changes['/console_url'] },
      }))}
      done={(now) => {
        toast(`${now.name} is changed.`);
        void client.invalidateQueries({ queryKey: ['region'] });
        void client.invalidateQueries({ queryKey: ['regions'] });
        void client.invalidateQueries({ queryKey: ['my-regions'] });
        close();
      }}
      close={close}
    />
  );
}
