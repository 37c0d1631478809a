import { ChevronsUpDown } from 'lucide-react';
import { useState } from 'react';
import { asProblem } from '../api/problem';
import type { Me } from '../api/types';
import { Button } from '../ui/Button';
import { Dialog } from '../ui/Dialog';
import { Notice } from '../ui/Notice';
import { TenantChoice } from '../ui/TenantChoice';
import { anythingUnsaved } from '../ui/unsaved';

/** Whether it is in force then. */
type Switch = (tenant: string) => Promise<boolean>;

/** The tenant in force, always in sight. Switching takes a choice and a press, so that nobody switches by a slip. */
export function TenantSwitch({ me, switchTo }: { me: Me; switchTo: Switch }) {
  const [open, setOpen] = useState(false);
  const others = me.tenants.some((tenant) => tenant.id !== me.tenant?.id);
  const label = (
    <>
      <span className="text-sm text-mute max-sm:sr-only">Tenant</span>
      <span className="truncate font-medium">{me.tenant?.name ?? 'None'}</span>
    </>
  );
  if (!others) {
    return <div className="flex min-w-0 items-baseline gap-2 px-2.5">{label}</div>;
  }
  return (
    <>
      <button
        type="button"
        aria-haspopup="dialog"
        title="Switch tenant"
        onClick={() => setOpen(true)}
        className="flex min-w-0 items-baseline gap-2 rounded-md px-2.5 py-1 hover:bg-sunken"
      >
        {label}
        <ChevronsUpDown size={14} className="shrink-0 self-center text-mute" aria-hidden />
      </button>
      {open && <SwitchDialog me={me} switchTo={switchTo} close={() => setOpen(false)} />}
    </>
  );
}

function SwitchDialog({ me, switchTo, close }: { me: Me; switchTo: Switch; close: () => void }) {
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<string>();
  const next = me.tenants.find((tenant) => tenant.id !== me.tenant?.id)?.id;

  async function change(tenant: string): Promise<void> {
    if (tenant === me.tenant?.id) return close();
    setBusy(true);
    setRefusal(undefined);
    try {
      if (await switchTo(tenant)) return close();
      setRefusal('The server kept the tenant as it was. Sign out and sign in to the other one.');
    } catch (error) {
      setRefusal(asProblem(error).sentence);
    }
    setBusy(false);
  }

  return (
    <Dialog
      title="Switch tenant"
      intro="Holds for all tabs of this browser: those that are open say so, and wait for a word."
      close={close}
      light
    >
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          const tenant = new FormData(event.currentTarget).get('tenant');
          if (!busy && typeof tenant === 'string') void change(tenant);
        }}
      >
        <TenantChoice tenants={me.tenants} current={me.tenant?.id} chosen={next} autoFocus />
        {me.tenant && (
          <ul className="list-disc space-y-1 pl-5 text-sm text-mute">
            <li>Your roles are those you were given there. Those in {me.tenant.name} rest until you switch back.</li>
            <li>What was entered from here in regions of {me.tenant.name} ends with this session: it is entered anew.</li>
          </ul>
        )}
        {anythingUnsaved() && <Notice kind="warn">What you typed on this page is not saved, and is lost by switching.</Notice>}
        {refusal && <Notice kind="bad">{refusal}</Notice>}
        <div className="flex justify-end gap-2">
          <Button onClick={close}>Cancel</Button>
          <Button type="submit" look="primary" busy={busy && 'Switching…'}>
            Switch
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
