// Puts the app together: routes, cache, and what happens when the session ends.
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, RouterProvider, useLocation, type RouterHistory } from '@tanstack/react-router';
import { onSignedOut } from './api/client';
import { bindPage, onOther, pause, resume } from './api/session';
import { meQuery } from './api/queries';
import { DevicePage } from './device/DevicePage';
import { links, returnPath } from './links';
import { RegionsPage } from './regions/RegionsPage';
import { ErrorPage, NotFoundPage } from './shell/ErrorPage';
import { Shell } from './shell/Shell';
import { InvitePage } from './sign-in/InvitePage';
import { ResetPage } from './sign-in/ResetPage';
import { SignInPage, type Reason } from './sign-in/SignInPage';
import { onOtherTab, tellOtherTabs } from './tabs';
import { tenantsSearch } from './tenants/search';
import { Toasts } from './ui/Toasts';

type SignInSearch = { return?: string; reason?: Reason };

/** Leaves for a path by a real navigation: password managers take it as success, and no state of before survives. */
export type Leave = (path: string) => void;

const rootRoute = createRootRoute({
  component: () => (
    <>
      <Outlet />
      <Toasts />
    </>
  ),
  errorComponent: ErrorPage,
  notFoundComponent: NotFoundPage,
});

export function createApp({ history, leave }: { history?: RouterHistory; leave: Leave }) {
  const queries = new QueryClient({
    defaultOptions: {
      queries: {
        networkMode: 'always', // being offline is a failure to show, not a reason to wait in silence
        retry: false,
        refetchOnWindowFocus: 'always',
        staleTime: 1_000,
      },
    },
  });

  const signInRoute = createRoute({
    getParentRoute: () => rootRoute,
    path: links.signIn,
    validateSearch: (search: Record<string, unknown>): SignInSearch => ({
      return: typeof search.return === 'string' ? search.return : undefined,
      reason: search.reason === 'ended' || search.reason === 'signed-out' ? search.reason : undefined,
    }),
    component: function SignIn() {
      const search = signInRoute.useSearch();
      return (
        <SignInPage
          reason={search.reason}
          done={() => {
            tellOtherTabs();
            leave(returnPath(search.return));
          }}
        />
      );
    },
  });
  const shellRoute = createRoute({
    getParentRoute: () => rootRoute,
    id: 'shell',
    component: () => <Shell signedOut={() => void toSignIn({ reason: 'signed-out' })} />,
  });
  const homeRoute = createRoute({ getParentRoute: () => shellRoute, path: links.home, component: RegionsPage });

  const resetRoute = createRoute({
    getParentRoute: () => rootRoute,
    path: links.resetPassword,
    component: function Reset() {
      // Behind the hash, which no browser sends to a server.
      return <ResetPage token={useLocation().hash || undefined} />;
    },
  });
  const inviteRoute = createRoute({
    getParentRoute: () => rootRoute,
    path: links.invite,
    component: function Invite() {
      return <InvitePage token={useLocation().hash || undefined} />;
    },
  });
  const deviceRoute = createRoute({
    getParentRoute: () => shellRoute,
    path: links.device,
    validateSearch: (search: Record<string, unknown>): { user_code?: string } => ({
      user_code: typeof search.user_code === 'string' ? search.user_code : undefined,
    }),
    component: function Device() {
      return <DevicePage code={deviceRoute.useSearch().user_code} />;
    },
  });

  // Pages that a first visit does not show are loaded when they are gone to.
  const pages = [
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.region,
      component: lazyRouteComponent(() => import('./regions/RegionPage'), 'RegionPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.newRegion,
      component: lazyRouteComponent(() => import('./regions/NewRegionPage'), 'NewRegionPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.tenants,
      validateSearch: tenantsSearch,
      component: lazyRouteComponent(() => import('./tenants/TenantsPage'), 'TenantsPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.tenant,
      component: lazyRouteComponent(() => import('./tenants/TenantPage'), 'TenantPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.newTenant,
      component: lazyRouteComponent(() => import('./tenants/NewTenantPage'), 'NewTenantPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.people,
      component: lazyRouteComponent(() => import('./people/PeoplePage'), 'PeoplePage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.person,
      component: lazyRouteComponent(() => import('./people/PersonPage'), 'PersonPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.newPerson,
      component: lazyRouteComponent(() => import('./people/NewPersonPage'), 'NewPersonPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.roles,
      component: lazyRouteComponent(() => import('./roles/RolesPage'), 'RolesPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.role,
      component: lazyRouteComponent(() => import('./roles/RolePage'), 'RolePage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.newRole,
      validateSearch: (search: Record<string, unknown>): { from?: string } => ({ from: typeof search.from === 'string' ? search.from : undefined }),
      component: lazyRouteComponent(() => import('./roles/NewRolePage'), 'NewRolePage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.permissions,
      component: lazyRouteComponent(() => import('./roles/MatrixPage'), 'MatrixPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.keys,
      component: lazyRouteComponent(() => import('./keys/KeysPage'), 'KeysPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.newKey,
      component: lazyRouteComponent(() => import('./keys/NewKeyPage'), 'NewKeyPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.settings,
      component: lazyRouteComponent(() => import('./settings/SettingsPage'), 'SettingsPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.accounts,
      component: lazyRouteComponent(() => import('./sessions/AccountsPage'), 'AccountsPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.account,
      component: lazyRouteComponent(() => import('./account/AccountPage'), 'AccountPage'),
    }),
    createRoute({
      getParentRoute: () => shellRoute,
      path: links.password,
      component: lazyRouteComponent(() => import('./account/PasswordPage'), 'PasswordPage'),
    }),
  ] as const;

  const router = createRouter({
    routeTree: rootRoute.addChildren([signInRoute, resetRoute, inviteRoute, shellRoute.addChildren([homeRoute, deviceRoute, ...pages])]),
    history,
    defaultPreload: 'intent',
  });

  async function toSignIn(search: SignInSearch): Promise<void> {
    if (router.latestLocation.pathname === links.signIn) return;
    // Without a session there is nothing to stay for.
    await router.navigate({ to: links.signIn, search, replace: true, ignoreBlocker: true });
    bindPage(undefined);
    resume(false);
    queries.clear(); // nothing of the person who left stays in memory
  }

  onSignedOut(() => {
    const { href } = router.latestLocation;
    const known = queries.getQueryData(meQuery.queryKey) !== undefined;
    void toSignIn({ return: href === links.home ? undefined : href, reason: known ? 'ended' : undefined });
  });
  /** First of all whose the session is now; what follows from it the shell decides. */
  function look(): void {
    if (queries.getQueryData(meQuery.queryKey) === undefined) return void queries.invalidateQueries();
    pause();
    void queries.cancelQueries({ predicate: ({ queryKey }) => queryKey[0] !== meQuery.queryKey[0] });
    void queries.refetchQueries({ queryKey: meQuery.queryKey });
  }
  onOtherTab(look);
  onOther(look);

  return {
    router,
    App: () => (
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    ),
  };
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createApp>['router'];
  }
}
