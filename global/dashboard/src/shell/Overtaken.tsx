import { useState } from 'react';
import { api, data } from '../api/client';
import { asProblem } from '../api/problem';
import type { Me } from '../api/types';
import { tellOtherTabs } from '../tabs';
import { Button } from '../ui/Button';
import { Dialog } from '../ui/Dialog';
import { Notice } from '../ui/Notice';
import { anythingUnsaved } from '../ui/unsaved';

type Props = {
  /** Whose the page is, and whose the session is now. */
  page: Me;
  now: Me;
  goOn: () => void;
  /** The session is the page's again. */
  back: () => void;
};

/** Another tab switched the tenant, or somebody else signed in there: the page waits for a word before it goes on. */
export function Overtaken({ page, now, goOn, back }: Props) {
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<string>();
  const another = page.user.id !== now.user.id;
  const former = page.tenant;
  const there = another ? now.user.email : (now.tenant?.name ?? 'no tenant');
  const returns = !another && former != null && now.tenants.some(({ id }) => id === former.id);

  async function switchBack(): Promise<void> {
    if (!former) return;
    setBusy(true);
    setRefusal(undefined);
    try {
      await data(api.POST('/v1/me/tenant', { body: { tenant: former.id } }));
      tellOtherTabs();
      back();
    } catch (error) {
      setRefusal(asProblem(error).sentence);
      setBusy(false);
    }
  }

  return (
    <Dialog
      title={another ? `${there} is signed in now` : `You work in ${there} now`}
      intro={another ? 'Somebody else signed in in another tab of this browser.' : 'The tenant was switched in another tab of this browser.'}
    >
      <p>
        This page is still of {another ? page.user.email : (former?.name ?? 'no tenant')}, and nothing can be done on it.
        {anythingUnsaved() && (returns ? ` What you typed was not sent. It is here if you switch back, and lost if you go on.` : ' What you typed was not sent, and is lost.')}
      </p>
      {refusal && <Notice kind="bad">{refusal}</Notice>}
      <div className="flex flex-wrap justify-end gap-2">
        {returns && (
          <Button busy={busy && 'Switching…'} onClick={() => void switchBack()}>
            Switch back to {former.name}
          </Button>
        )}
        <Button look="primary" autoFocus onClick={goOn}>
          {another ? `Go on as ${there}` : `Go on in ${there}`}
        </Button>
      </div>
    </Dialog>
  );
}
