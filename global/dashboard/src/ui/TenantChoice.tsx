import { useState } from 'react';
import type { TenantName } from '../api/types';

/** From this many on a list is faster to search than to read. */
const SEARCH_FROM = 9;

/** One of several tenants: radios, so that arrow keys choose and Enter sends the form it stands in. */
export function TenantChoice({ tenants, chosen, current, autoFocus = false }: { tenants: TenantName[]; chosen?: string; current?: string; autoFocus?: boolean }) {
  const [search, setSearch] = useState('');
  const words = search.trim().toLowerCase();
  const shown = words ? tenants.filter((tenant) => `${tenant.name} ${tenant.slug}`.toLowerCase().includes(words)) : tenants;
  const sorted = [...shown].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  const first = sorted.some((tenant) => tenant.id === chosen) ? chosen : sorted[0]?.id;
  return (
    <fieldset>
      <legend className="mb-1 font-medium">Tenant</legend>
      {tenants.length >= SEARCH_FROM && (
        <input
          type="search"
          aria-label="Search tenants"
          placeholder="Search by name"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
          className="mb-2 block w-full rounded-md border border-edge bg-surface px-3 py-1.5 placeholder:text-mute"
        />
      )}
      {/* The key makes the first match the chosen one after each change of the search. */}
      <div key={words} className="max-h-72 divide-y divide-line overflow-y-auto rounded-md border border-edge">
        {sorted.map((tenant) => (
          <label
            key={tenant.id}
            className="flex items-center gap-3 px-3 py-2 has-checked:bg-sunken has-focus-visible:outline-2 has-focus-visible:-outline-offset-2 has-focus-visible:outline-accent"
          >
            <input
              type="radio"
              name="tenant"
              value={tenant.id}
              required
              defaultChecked={tenant.id === first}
              autoFocus={autoFocus && tenant.id === first}
              className="size-4 shrink-0 accent-fill outline-none"
            />
            <span className="min-w-0">
              <span className="block truncate font-medium">{tenant.name}</span>
              <span className="block truncate font-mono text-xs text-mute">{tenant.slug}</span>
            </span>
            {tenant.id === current && <span className="ml-auto text-sm text-mute">in force</span>}
          </label>
        ))}
        {sorted.length === 0 && <p className="px-3 py-2 text-mute">No tenant of yours has that in its name.</p>}
      </div>
    </fieldset>
  );
}
