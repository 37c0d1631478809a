// What of the list of tenants stands in the address, so that a view can be passed on and survives going back.

const words = ['active', 'suspended', 'deleting', 'deleted'] as const;

export type TenantsSearch = { search?: string; state?: (typeof words)[number] };

export const standings = [
  { value: 'all', label: 'All' },
  { value: 'active', label: 'Active' },
  { value: 'suspended', label: 'Suspended' },
  { value: 'deleting', label: 'Being deleted' },
  { value: 'deleted', label: 'Deleted' },
];

export function tenantsSearch(given: Record<string, unknown>): TenantsSearch {
  const search = typeof given.search === 'string' ? given.search.trim().slice(0, 100) : '';
  return {
    search: search || undefined,
    state: words.find((word) => word === given.state),
  };
}

/** Where the list of them is. */
export function tenantsPath(search: string | undefined, state: string | undefined): string {
  const asked = new URLSearchParams({ ...(search && { search }), ...(state && { state }) });
  return asked.size > 0 ? `/v1/tenants?${asked}` : '/v1/tenants';
}
