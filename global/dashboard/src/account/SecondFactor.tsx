import { useQuery, useQueryClient } from '@tanstack/react-query';
import { ShieldAlert, ShieldCheck } from 'lucide-react';
import { useState } from 'react';
import { useMe } from '../api/me';
import { renewed } from '../api/live';
import { LIST_EVERY_MS } from '../api/pages';
import { asProblem } from '../api/problem';
import type { SecondFactor as Factor } from '../api/types';
import { Trouble } from '../shell/Trouble';
import { Button } from '../ui/Button';
import { Card } from '../ui/Card';
import { Notice } from '../ui/Notice';
import { Fact, Facts, Skeleton } from '../ui/Page';
import { Section } from '../ui/Section';
import { StatusBadge } from '../ui/StatusBadge';
import { Time } from '../ui/Time';
import { CodesDialog, NewCodesDialog } from './Codes';
import { EnrolDialog } from './EnrolDialog';
import { secondFactorQuery } from './queries';
import { RemoveDialog } from './RemoveDialog';

/** From here on a person should make new ones while they can. */
const FEW_CODES = 3;

type Open = 'enrol' | 'codes' | 'remove' | { codes: string[] };

/** What one has as a second factor, and changing it; each change asks for what only its owner has. */
export function SecondFactor() {
  const me = useMe();
  const client = useQueryClient();
  const [open, setOpen] = useState<Open>();
  const query = useQuery({ ...secondFactorQuery(me), refetchInterval: renewed(LIST_EVERY_MS) });
  const close = () => setOpen(undefined);
  const changed = (codes?: string[]) => {
    void client.invalidateQueries({ queryKey: ['second-factor'] });
    setOpen(codes && { codes });
  };
  const factor = query.data;
  return (
    <Section level={2} title="Second factor" intro="A code of an authenticator app, asked for after the password.">
      <Card>
        {query.isError && !factor ? (
          <Trouble title="Your second factor could not be loaded" problem={asProblem(query.error)} again={() => void query.refetch()} />
        ) : !factor ? (
          <div className="p-4">
            <Skeleton />
          </div>
        ) : (
          <>
            <Facts>
              <Fact name="State">
                <State factor={factor} />
              </Fact>
              <Fact name="Since">{factor.totp_since ? <Time at={factor.totp_since} /> : 'never'}</Fact>
              <Fact name="Recovery codes left">{factor.totp_since ? factor.recovery_codes_left : 'none'}</Fact>
              <Fact name="Required">{factor.required ? 'by a role or a tenant of yours' : 'no'}</Fact>
            </Facts>
            {factor.totp_since && factor.recovery_codes_left <= FEW_CODES && (
              <div className="px-4 pb-3">
                <Notice kind="warn">
                  {factor.recovery_codes_left === 0 ? 'No recovery code is left' : `Only ${factor.recovery_codes_left} recovery ${factor.recovery_codes_left === 1 ? 'code is' : 'codes are'} left`}
                  : make new ones while you have the app.
                </Notice>
              </div>
            )}
            <div className="flex flex-wrap gap-2 border-t border-line px-4 py-3">
              <Button onClick={() => setOpen('enrol')}>{factor.totp_since ? 'Replace the app…' : 'Set up an app…'}</Button>
              {factor.totp_since && <Button onClick={() => setOpen('codes')}>New recovery codes…</Button>}
              {factor.totp_since && !factor.required && (
                <Button className="text-bad" onClick={() => setOpen('remove')}>
                  Remove…
                </Button>
              )}
            </div>
          </>
        )}
      </Card>
      {open === 'enrol' && <EnrolDialog replaces={Boolean(factor?.totp_since)} done={changed} close={close} />}
      {open === 'codes' && <NewCodesDialog done={changed} close={close} />}
      {open === 'remove' && <RemoveDialog done={() => changed()} close={close} />}
      {typeof open === 'object' && <CodesDialog codes={open.codes} close={close} />}
    </Section>
  );
}

function State({ factor }: { factor: Factor }) {
  return factor.totp_since ? (
    <StatusBadge tone="ok" word="In use" Icon={ShieldCheck} />
  ) : (
    <StatusBadge tone={factor.required ? 'bad' : 'warn'} word="None" Icon={ShieldAlert} title="The password alone opens the account." />
  );
}
