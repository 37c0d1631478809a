import { api, data, onlyIf } from '../api/client';
import type { TenantName } from '../api/types';
import { links } from '../links';
import { ButtonLink } from '../ui/ButtonLink';
import { Confirm } from '../ui/Confirm';
import { toast } from '../ui/Toasts';

type Props = { tenant: TenantName; /** The version that was read. */ tag: string; /** What it is to be. */ required: boolean; done: () => void; close: () => void };

/** Asks everybody of a tenant for a second factor, or nobody any more, once it was read who that is. */
export function DemandDialog({ tenant: { id, name }, tag, required, done, close }: Props) {
  return (
    <Confirm
      title={required ? `Require a second factor in ${name}` : `Make the second factor optional in ${name}`}
      consequences={required ? [
        'Whoever signed in without a code is signed out of the tenant at once, programs too; connected regions learn of it within a second.',
        'At the next sign-in everybody who has no app is led to set one up, and then gets ten recovery codes. Who has one sees no difference.',
        'It holds for everybody with a place here, also where they belong to other tenants, and for who is invited later.',
        'New passwords may be as short as 12 characters.',
      ] : [
        'Who has no app signs in with the password alone. Who has one is asked for its code as before.',
        'People may remove their app, unless a role or another tenant of theirs asks for it.',
        'New passwords need 15 characters again; those there are stay good.',
      ]}
      submit={required ? 'Require it' : 'Make it optional'}
      busyLabel="Saving…"
      danger={!required}
      send={() => data(api.PATCH('/v1/tenants/{id}/settings', { params: { path: { id }, ...onlyIf(tag) }, body: { second_factor: required ? 'required' : 'optional' } }))}
      remedy={({ slug }) =>
        slug === 'second-factor-missing' && (
          <ButtonLink to={links.account} className="mt-2 text-ink">
            Go to your account
          </ButtonLink>
        )
      }
      done={() => {
        toast(required ? `${name} asks everybody for a second factor now.` : `The second factor is optional in ${name} now.`);
        done();
      }}
      close={close}
    />
  );
}
