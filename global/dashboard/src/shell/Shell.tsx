import { useQuery, useQueryClient, type QueryKey } from '@tanstack/react-query';
import { Link, Outlet, useLocation, useRouter } from '@tanstack/react-router';
import clsx from 'clsx';
import { useEffect, useState } from 'react';
import { api, data } from '../api/client';
import { asProblem } from '../api/problem';
import { meQuery, readMe } from '../api/queries';
import { MeContext } from '../api/me';
import { may } from '../api/may';
import { bindPage, isPaused, isSame, ofMe, pause, resume } from '../api/session';
import type { Me } from '../api/types';
import { links } from '../links';
import { tellOtherTabs } from '../tabs';
import { Mark } from '../ui/Mark';
import { toast } from '../ui/Toasts';
import { AccountMenu } from './AccountMenu';
import { Overtaken } from './Overtaken';
import { Trouble } from './Trouble';
import { TenantSwitch } from './TenantSwitch';

/** The pages of the header, each for those whose roles let them see it. */
const nav = [
  { to: links.home, label: 'Regions', needs: undefined, under: /^\/($|regions\/|new\/region$)/ },
  { to: links.people, label: 'People', needs: 'membership.list', under: /^\/(people(\/|$)|new\/person$)/ },
  { to: links.roles, label: 'Roles', needs: 'role.list', under: /^\/(roles(\/|$)|new\/role$|permissions$)/ },
  { to: links.keys, label: 'API keys', needs: 'api_key.list', under: /^\/(api-keys|new\/api-key)$/ },
  { to: links.settings, label: 'Settings', needs: 'settings.read', under: /^\/settings$/ },
  { to: links.tenants, label: 'Tenants', needs: 'tenant.list', under: /^\/(tenants(\/|$)|new\/tenant$)/ },
  { to: links.accounts, label: 'Accounts', needs: 'federation_user.read', under: /^\/accounts$/ },
] as const;

const besidesMe = { predicate: ({ queryKey }: { queryKey: QueryKey }) => queryKey[0] !== meQuery.queryKey[0] };

/** What every page behind the sign-in stands in: who, in which tenant, and the way to the other pages. */
export function Shell({ signedOut }: { signedOut: () => void }) {
  const client = useQueryClient();
  const router = useRouter();
  const me = useQuery(meQuery);
  /** Whose the page is: the session's, until another tab changes whose that is. */
  const [held, hold] = useState<Me>();
  /** This very tab is about to change it. */
  const [switching, setSwitching] = useState(false);
  const now = me.data;
  const other = now !== undefined && held !== undefined && !isSame(ofMe(now), ofMe(held));
  const overtaken = other && !switching;
  if (now && now !== held && !other) hold(now);
  const { pathname } = useLocation();
  const pages = nav.filter(({ needs }) => !needs || (held && may(held, needs)));

  useEffect(() => {
    if (held) bindPage(ofMe(held));
  }, [held]);
  useEffect(() => {
    if (overtaken) {
      pause();
      void client.cancelQueries(besidesMe);
    } else if (isPaused() && !switching && !me.isFetching && !me.isError) {
      resume(true);
      void client.invalidateQueries(besidesMe);
    }
  }, [overtaken, switching, me.isFetching, me.isError, me.dataUpdatedAt, client]);

  async function switchTo(tenant: string): Promise<boolean> {
    setSwitching(true);
    // Nothing of one tenant is asked for under the name of the other.
    pause();
    try {
      await client.cancelQueries();
      await data(api.POST('/v1/me/tenant', { body: { tenant } }));
      tellOtherTabs();
      const next = await readMe();
      const done = next.tenant?.id === tenant;
      if (done) await settle(next);
      return done;
    } finally {
      setSwitching(false);
    }
  }

  /** The page goes on for another tenant or person: at the head of its part, since what it was of may not be there. */
  async function settle(next: Me): Promise<void> {
    const here = nav.find(({ under }) => under.test(pathname));
    bindPage(ofMe(next));
    client.setQueryData(meQuery.queryKey, next);
    hold(next);
    setSwitching(false);
    client.removeQueries(besidesMe);
    resume(false);
    if (next.tenant) toast(`You now work in ${next.tenant.name}.`);
    const to = here && (!here.needs || may(next, here.needs)) ? here.to : here ? links.home : undefined;
    if (to && to !== pathname) await router.navigate({ to, ignoreBlocker: true });
  }

  return (
    <div className="flex min-h-dvh flex-col">
      <a href="#content" className="sr-only focus:not-sr-only focus:absolute focus:z-20 focus:m-2 focus:rounded-md focus:bg-surface focus:px-3 focus:py-2">
        Skip to content
      </a>
      <header className="sticky top-0 z-10 border-b border-line bg-surface">
        <div className={clsx('mx-auto flex min-h-13 max-w-page items-center gap-x-6 px-4 sm:px-6', pages.length > 1 && 'max-sm:flex-wrap max-sm:pt-2')}>
          <Link to={links.home} className="flex min-w-6 items-center gap-2 rounded py-1 font-semibold tracking-tight">
            <Mark />
            <span className="max-sm:sr-only">Exarch</span>
          </Link>
          {/* More than one do not fit beside the rest on a narrow screen: they get a line of their own. */}
          <nav aria-label="Main" className={clsx('flex h-13 gap-1 overflow-x-auto', pages.length > 1 && 'max-sm:order-last max-sm:-mx-2 max-sm:h-10 max-sm:w-full')}>
            {pages.map(({ to, label, under }) => (
              <Link
                key={to}
                to={to}
                data-here={under.test(pathname) || undefined}
                className="flex items-center border-b-2 border-transparent px-2 text-mute -outline-offset-2 hover:text-ink data-here:border-accent data-here:text-ink"
              >
                {label}
              </Link>
            ))}
          </nav>
          {me.data && (
            <div className="ml-auto flex min-w-0 items-center gap-1">
              <TenantSwitch me={me.data} switchTo={switchTo} />
              <AccountMenu me={me.data} signedOut={signedOut} />
            </div>
          )}
        </div>
      </header>
      <main id="content" tabIndex={-1} className="mx-auto w-full max-w-page flex-1 px-4 py-6 outline-none sm:px-6">
        {held ? (
          <MeContext value={held}>
            <Outlet key={`${held.user.id} ${held.tenant?.id}`} />
          </MeContext>
        ) : me.isError && asProblem(me.error).status !== 401 ? (
          <Trouble problem={asProblem(me.error)} again={() => void me.refetch()} />
        ) : (
          <p role="status" className="text-mute">
            Loading…
          </p>
        )}
      </main>
      {held && now && overtaken && <Overtaken page={held} now={now} goOn={() => void settle(now)} back={() => void me.refetch()} />}
    </div>
  );
}
