// Every address the app links to. Pages name a link here and never write a path of their own.

export const links = {
  home: '/',
  region: '/regions/$slug',
  newRegion: '/new/region',
  tenants: '/tenants',
  tenant: '/tenants/$slug',
  newTenant: '/new/tenant',
  people: '/people',
  person: '/people/$id',
  newPerson: '/new/person',
  roles: '/roles',
  role: '/roles/$name',
  newRole: '/new/role',
  permissions: '/permissions',
  keys: '/api-keys',
  newKey: '/new/api-key',
  settings: '/settings',
  accounts: '/accounts',
  account: '/account',
  password: '/account/password',
  signIn: '/sign-in',
  device: '/device',
  resetPassword: '/reset-password',
  invite: '/invite',
} as const;

/**
 * Where to go after signing in: a path of this origin, or home for anything else. A return path comes from the address
 * bar, so it may have been written by someone who wants the person to land elsewhere.
 */
export function returnPath(given: unknown): string {
  if (typeof given !== 'string' || !given.startsWith('/')) return links.home;
  const base = 'https://exarch.invalid';
  let url: URL;
  try {
    url = new URL(given, base); // also folds the backslashes and control characters by which browsers leave the origin
  } catch {
    return links.home;
  }
  if (url.origin !== base || url.pathname === links.signIn || url.pathname.startsWith('//')) return links.home;
  return url.pathname + url.search + url.hash;
}
