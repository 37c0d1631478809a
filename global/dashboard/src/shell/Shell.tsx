import { useQuery } from '@tanstack/react-query';
import { Link, Outlet } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { asProblem } from '../api/problem';
import { meQuery } from '../api/queries';
import { MeContext } from '../api/me';
import { links } from '../links';
import { Mark } from '../ui/Mark';
import { toast } from '../ui/Toasts';
import { AccountMenu } from './AccountMenu';
import { Trouble } from './Trouble';
import { TenantSwitch } from './TenantSwitch';

const nav = [{ to: links.home, label: 'Regions' }] as const;

/** What every page behind the sign-in stands in: who, in which tenant, and the way to the other pages. */
export function Shell({ signedOut }: { signedOut: () => void }) {
  const me = useQuery(meQuery);
  const tenant = me.data?.tenant;

  // Also true when another tab switched: the cookie is one for all tabs.
  const before = useRef<string>(undefined);
  useEffect(() => {
    if (tenant && before.current && before.current !== tenant.id) toast(`You now work in ${tenant.name}.`);
    if (tenant) before.current = tenant.id;
  }, [tenant]);

  return (
    <div className="flex min-h-dvh flex-col">
      <a href="#content" className="sr-only focus:not-sr-only focus:absolute focus:z-20 focus:m-2 focus:rounded-md focus:bg-surface focus:px-3 focus:py-2">
        Skip to content
      </a>
      <header className="sticky top-0 z-10 border-b border-line bg-surface">
        <div className="mx-auto flex h-13 max-w-page items-center gap-x-6 px-4 sm:px-6">
          <Link to={links.home} className="flex items-center gap-2 rounded py-1 font-semibold tracking-tight">
            <Mark />
            <span className="max-sm:sr-only">Exarch</span>
          </Link>
          <nav aria-label="Main" className="flex h-full gap-1 overflow-x-auto">
            {nav.map(({ to, label }) => (
              <Link
                key={to}
                to={to}
                activeOptions={{ exact: true }}
                className="flex items-center border-b-2 border-transparent px-2 text-mute -outline-offset-2 hover:text-ink data-[status=active]:border-accent data-[status=active]:text-ink"
              >
                {label}
              </Link>
            ))}
          </nav>
          {me.data && (
            <div className="ml-auto flex min-w-0 items-center gap-1">
              <TenantSwitch me={me.data} />
              <AccountMenu me={me.data} signedOut={signedOut} />
            </div>
          )}
        </div>
      </header>
      <main id="content" tabIndex={-1} className="mx-auto w-full max-w-page flex-1 px-4 py-6 outline-none sm:px-6">
        {me.data ? (
          <MeContext value={me.data}>
            <Outlet />
          </MeContext>
        ) : me.isError && asProblem(me.error).status !== 401 ? (
          <Trouble problem={asProblem(me.error)} again={() => void me.refetch()} />
        ) : (
          <p role="status" className="text-mute">
            Loading…
          </p>
        )}
      </main>
    </div>
  );
}
