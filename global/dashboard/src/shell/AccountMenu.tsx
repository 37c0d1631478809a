import { Link } from '@tanstack/react-router';
import { ChevronDown, LogOut, Monitor, Moon, Sun, UserCog } from 'lucide-react';
import { useState } from 'react';
import { api, data } from '../api/client';
import { isStaff } from '../api/me';
import { asProblem } from '../api/problem';
import type { Me } from '../api/types';
import { links } from '../links';
import { tellOtherTabs } from '../tabs';
import { setTheme, themes, useTheme, type Theme } from '../theme';
import { absolute, duration, serverNow, useNow } from '../time';
import { Button } from '../ui/Button';
import { toast } from '../ui/Toasts';

const icons: Record<Theme, typeof Sun> = { system: Monitor, light: Sun, dark: Moon };
const words: Record<Theme, string> = { system: 'System', light: 'Light', dark: 'Dark' };

/** Who is signed in with which roles, the theme, and the way out. A native popover: Escape and a click outside close it. */
export function AccountMenu({ me, signedOut }: { me: Me; signedOut: () => void }) {
  const theme = useTheme();
  const [busy, setBusy] = useState(false);

  async function signOut(): Promise<void> {
    setBusy(true);
    try {
      await data(api.POST('/v1/auth/sign-out'));
    } catch (error) {
      const problem = asProblem(error);
      if (problem.status !== 401) {
        toast(`You are still signed in. ${problem.sentence}`);
        return setBusy(false);
      }
    }
    tellOtherTabs();
    signedOut();
  }

  return (
    <>
      <button
        type="button"
        popoverTarget="account"
        aria-label={`Account of ${me.user.email}`}
        className="flex min-w-0 items-center gap-1.5 rounded-md px-2.5 py-1 hover:bg-sunken"
      >
        <span className="grid size-6 shrink-0 place-items-center rounded-full bg-sunken text-xs font-semibold uppercase" aria-hidden>
          {me.user.email.slice(0, 1)}
        </span>
        <span className="truncate max-md:hidden">{me.user.email}</span>
        <ChevronDown size={14} className="shrink-0 text-mute" aria-hidden />
      </button>
      <div
        id="account"
        popover="auto"
        className="under-header m-0 w-72 rounded-lg border border-line bg-surface p-0 text-ink shadow-xl"
      >
        <div className="space-y-1 border-b border-line px-4 py-3">
          <p className="truncate font-medium">{me.user.email}</p>
          <Roles label={me.tenant ? `In ${me.tenant.name}` : 'In a tenant'} roles={me.roles} />
          {isStaff(me) && <Roles label="In the federation" roles={me.system ?? []} />}
          {me.session.expires_at && <SessionEnd at={me.session.expires_at} />}
        </div>
        <fieldset className="border-b border-line px-4 py-3">
          <legend className="float-left mb-2 text-sm text-mute">Theme</legend>
          <div className="clear-both grid grid-cols-3 gap-1 rounded-md bg-sunken p-1">
            {themes.map((each) => {
              const Icon = icons[each];
              return (
                <label
                  key={each}
                  className="flex items-center justify-center gap-1.5 rounded px-1 py-1 text-sm text-mute hover:text-ink has-checked:bg-surface has-checked:text-ink has-checked:shadow-sm has-focus-visible:outline-2 has-focus-visible:outline-accent"
                >
                  <input type="radio" name="theme" className="sr-only" checked={theme === each} onChange={() => setTheme(each)} />
                  <Icon size={14} aria-hidden />
                  {words[each]}
                </label>
              );
            })}
          </div>
        </fieldset>
        <div className="p-2">
          <Link
            to={links.account}
            onClick={() => document.getElementById('account')?.hidePopover?.()}
            className="flex items-center gap-1.5 rounded-md px-3 py-1.5 font-medium text-mute hover:bg-sunken hover:text-ink"
          >
            <UserCog size={15} aria-hidden />
            Account, password and sessions
          </Link>
          <Button look="quiet" className="w-full justify-start!" busy={busy && 'Signing out…'} onClick={() => void signOut()}>
            <LogOut size={15} aria-hidden />
            Sign out
          </Button>
        </div>
      </div>
    </>
  );
}

function Roles({ label, roles }: { label: string; roles: string[] }) {
  return (
    <p className="text-sm text-mute">
      {label}: <span className="text-ink">{roles.length > 0 ? roles.join(', ') : 'no role'}</span>
    </p>
  );
}

function SessionEnd({ at }: { at: string }) {
  const left = Date.parse(at) - serverNow(useNow());
  if (Number.isNaN(left)) return null;
  return (
    <p className="text-sm text-mute" title={absolute(new Date(at))}>
      Session ends in <span className="text-ink tabular-nums">{duration(left)}</span>
    </p>
  );
}
