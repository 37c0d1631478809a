import { useQueryClient } from '@tanstack/react-query';
import { Building2, CircleCheck, CircleSlash, Clock, KeyRound, Plus } from 'lucide-react';
import { useState } from 'react';
import { api, data, once } from '../api/client';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { usePages } from '../api/pages';
import type { ApiKey, KeyWithSecret } from '../api/types';
import { links } from '../links';
import { roleWord } from '../roles/words';
import { Button } from '../ui/Button';
import { ButtonLink } from '../ui/ButtonLink';
import { Card } from '../ui/Card';
import { Radios } from '../ui/Choices';
import { Confirm } from '../ui/Confirm';
import { Dialog } from '../ui/Dialog';
import { EmptyState } from '../ui/EmptyState';
import { Field } from '../ui/Field';
import { missing, text } from '../ui/form-state';
import { Freshness } from '../ui/Freshness';
import { ListCard } from '../ui/ListCard';
import { Page } from '../ui/Page';
import { ShownOnce } from '../ui/ShownOnce';
import { StatusBadge } from '../ui/StatusBadge';
import type { Column } from '../ui/Table';
import { Time, Until } from '../ui/Time';
import { toast } from '../ui/Toasts';

type Open = { kind: 'rotate' | 'revoke'; key: ApiKey } | { kind: 'secret'; key: KeyWithSecret };

/** By what programs work in the tenant in force. */
export function KeysPage() {
  const { tenant } = useMe();
  if (tenant) return <OfTenant tenant={tenant} />;
  return (
    <Page title="API keys">
      <Card>
        <EmptyState Icon={Building2} title="No tenant is in force">
          Choose one at the top of the page to see its API keys.
        </EmptyState>
      </Card>
    </Page>
  );
}

function OfTenant({ tenant }: { tenant: { id: string; name: string } }) {
  const me = useMe();
  const client = useQueryClient();
  const list = usePages<ApiKey>(['api-keys', me.user.id, tenant.id], { path: '/v1/api-keys' }, (query, signal) => api.GET('/v1/api-keys', { params: { query }, signal }));
  const [open, setOpen] = useState<Open>();
  const close = () => setOpen(undefined);
  const renew = () => void client.invalidateQueries({ queryKey: ['api-keys'] });
  const makes = may(me, 'api_key.create');
  const columns: Column<ApiKey>[] = [
    { key: 'name', header: 'Key', rowHeader: true, cell: (key) => <Name shown={key} /> },
    { key: 'role', header: 'Role', cell: ({ role }) => roleWord(role) },
    { key: 'where', header: 'Where', wide: true, cell: ({ region, cidrs }) => <Where region={region?.slug} cidrs={cidrs} /> },
    { key: 'used', header: 'Last used', wide: true, cell: ({ last_used_on: day }) => day ?? <span className="text-mute">never</span> },
    { key: 'secret', header: 'Secret', wide: true, cell: ({ secret_since, previous_secret_until: until }) => (
      <>
        <Time at={secret_since} />
        {until && (
          <span className="block text-sm text-mute">
            former one ends <Until at={until} />
          </span>
        )}
      </>
    ) },
    { key: 'end', header: 'Ends', wide: true, cell: ({ expires_at }) => (expires_at ? <Until at={expires_at} /> : <span className="text-mute">open</span>) },
    { key: 'act', header: 'Actions', align: 'right', cell: (key) => (
      <span className="inline-flex justify-end max-sm:flex-col">
        {may(me, 'api_key.rotate') && (
          <Button look="quiet" aria-label={`Rotate ${key.name}`} onClick={() => setOpen({ kind: 'rotate', key })}>
            Rotate…
          </Button>
        )}
        {may(me, 'api_key.revoke') && (
          <Button look="quiet" aria-label={`Revoke ${key.name}`} onClick={() => setOpen({ kind: 'revoke', key })}>
            Revoke…
          </Button>
        )}
      </span>
    ) },
  ];
  return (
    <Page
      title="API keys"
      intro={`By what programs work in ${tenant.name}. A key never gives more than its owner holds.`}
      actions={
        makes && (
          <ButtonLink look="primary" to={links.newKey}>
            <Plus size={16} aria-hidden />
            Make a key
          </ButtonLink>
        )
      }
    >
      <div>
        <div className="mb-3 flex justify-end">
          <Freshness live={list.live} />
        </div>
        <ListCard
          list={list}
          caption={`API keys of ${tenant.name}`}
          columns={columns}
          rowKey={({ id }) => id}
          what="The API keys"
          empty={
            <EmptyState Icon={KeyRound} title="No API key yet" action={makes && <ButtonLink to={links.newKey}>Make the first key</ButtonLink>}>
              No program works in {tenant.name} by a key.
            </EmptyState>
          }
        />
      </div>
      {open?.kind === 'rotate' && (
        <Confirm<KeyWithSecret>
          title={`Rotate ${open.key.name}`}
          consequences={['The key gets another secret, which is shown this once.', 'A secret that was being replaced already ends at once.']}
          submit="Rotate key"
          busyLabel="Rotating…"
          send={(form, key) => data(api.POST('/v1/api-keys/{id}/rotate', { params: { path: { id: open.key.id }, ...once(key) }, body: { overlap_seconds: Number(text(form, '/overlap_seconds')) } }))}
          done={(key) => {
            renew();
            setOpen({ kind: 'secret', key });
          }}
          close={close}
        >
          <Radios
            legend="The present secret"
            name="/overlap_seconds"
            chosen="86400"
            choices={[
              { value: '86400', label: 'Is good for a day more', note: 'Time to give the new one to everything that uses the key.' },
              { value: '604800', label: 'Is good for a week more' },
              { value: '0', label: 'Ends at once', note: 'For a secret that somebody else may have.' },
            ]}
          />
        </Confirm>
      )}
      {open?.kind === 'secret' && (
        <Dialog title={`${open.key.name} has a new secret`} wide>
          <Secret made={open.key} />
          <div className="flex justify-end">
            <Button onClick={close}>Close</Button>
          </div>
        </Dialog>
      )}
      {open?.kind === 'revoke' && (
        <Confirm
          title={`Revoke ${open.key.name}`}
          consequences={['What uses it is refused from then on: here at once, and in connected regions within a second.', 'It cannot be taken back. Another key can have its name.']}
          submit="Revoke key"
          busyLabel="Revoking…"
          danger
          name={open.key.name}
          check={(form) => missing(form, { '/reason': 'Say why, for the audit' })}
          send={(form) => data(api.POST('/v1/api-keys/{id}/revoke', { params: { path: { id: open.key.id } }, body: { reason: text(form, '/reason') } }))}
          done={() => {
            toast(`${open.key.name} is revoked.`);
            renew();
            close();
          }}
          close={close}
        >
          <Field label="Reason" name="/reason" hint="One sentence for the audit of the tenant." maxLength={200} autoComplete="off" autoFocus />
        </Confirm>
      )}
    </Page>
  );
}

export function Secret({ made }: { made: KeyWithSecret }) {
  return (
    <ShownOnce label="Secret" text={made.secret}>
      <p>
        Give it to the program that uses the key, as <code className="font-mono text-sm">Authorization: Bearer</code>. It{' '}
        <strong className="font-semibold">is not shown again</strong>.
      </p>
    </ShownOnce>
  );
}

const looks = {
  active: { tone: 'ok', word: 'Active', Icon: CircleCheck, title: 'It works.' },
  expired: { tone: 'warn', word: 'Expired', Icon: Clock, title: 'Its time is over.' },
  void: { tone: 'bad', word: 'Void', Icon: CircleSlash, title: 'Its owner has left the tenant, or may not sign in: it gives nothing.' },
} as const;

function Name({ shown: { name, state, owner } }: { shown: ApiKey }) {
  const look = looks[state as keyof typeof looks] ?? { ...looks.void, word: state, title: undefined };
  return (
    <>
      <span className="mr-2 font-medium break-words">{name}</span>
      <StatusBadge {...look} />
      <span className="block text-sm text-mute">of {owner.user.display_name}</span>
    </>
  );
}

function Where({ region, cidrs }: { region: string | undefined; cidrs: readonly string[] }) {
  return (
    <>
      {region ?? 'All regions'}
      {cidrs.length > 0 && <span className="block font-mono text-xs text-mute">from {cidrs.join(', ')}</span>}
    </>
  );
}
