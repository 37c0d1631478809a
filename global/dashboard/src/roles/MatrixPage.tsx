import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Building2, Check, SearchX } from 'lucide-react';
import { useRef, useState, type KeyboardEvent } from 'react';
import { useMe } from '../api/me';
import { asProblem } from '../api/problem';
import type { PermissionEntry, Role } from '../api/types';
import { links } from '../links';
import { Trouble } from '../shell/Trouble';
import { Card } from '../ui/Card';
import { Segments } from '../ui/Choices';
import { EmptyState } from '../ui/EmptyState';
import { Page, Skeleton } from '../ui/Page';
import { Search } from '../ui/Search';
import { catalogueQuery, rolesQuery } from './queries';
import { covered, grouped, matches, roleWord } from './words';

const kinds = [
  { value: 'all', label: 'All roles' },
  { value: 'custom', label: 'Your tenant’s' },
  { value: 'preset', label: 'Presets' },
] as const;

/** Which role holds what: permissions down, roles across. */
export function MatrixPage() {
  const me = useMe();
  const roles = useQuery(rolesQuery(me));
  const catalogue = useQuery(catalogueQuery);
  const [search, setSearch] = useState('');
  const [kind, setKind] = useState('all');
  const failed = [roles, catalogue].find((each) => each.isError && !each.data);
  if (failed) return <Trouble heading="h1" title="The roles could not be loaded" problem={asProblem(failed.error)} again={() => void failed.refetch()} />;
  if (me.tenant && (!roles.data || !catalogue.data)) return <Skeleton />;
  const rows = covered('tenant', catalogue.data ?? []).filter((entry) => matches(entry, search.toLowerCase()));
  const columns = (roles.data ?? []).filter((role) => kind === 'all' || role.kind === kind);
  return (
    <Page title="Compare roles" back={{ to: links.roles, label: 'Roles' }} intro={me.tenant && `What each role of ${me.tenant.name} holds. Arrow keys walk through the table.`}>
      <div>
        <div className="mb-3 flex flex-wrap items-center gap-3">
          <Search label="Find permissions" placeholder="Find by name or sentence" value={search} onSearch={setSearch} />
          <Segments legend="Roles shown" name="kind" chosen={kind} onChange={setKind} choices={kinds} />
        </div>
        <Card>
          {!me.tenant ? (
            <EmptyState Icon={Building2} title="No tenant is in force">
              Choose one at the top of the page to see its roles.
            </EmptyState>
          ) : rows.length === 0 || columns.length === 0 ? (
            <EmptyState Icon={SearchX} title={columns.length === 0 ? 'Your tenant has made no role' : 'No permission matches'}>
              {columns.length === 0 ? 'The presets hold what most need.' : 'Nothing has this in its name or sentence.'}
            </EmptyState>
          ) : (
            <Matrix rows={rows} columns={columns} />
          )}
        </Card>
      </div>
    </Page>
  );
}

/** One cell takes the focus by Tab, and the arrow keys go on from there. */
function Matrix({ rows, columns }: { rows: readonly PermissionEntry[]; columns: readonly Role[] }) {
  const table = useRef<HTMLTableElement>(null);
  const { held } = useMe();

  function walk(event: KeyboardEvent): void {
    const from = (event.target as HTMLElement).closest<HTMLElement>('td[data-at]');
    if (!from) return;
    const [row = 0, column = 0] = (from.dataset.at ?? '').split(',').map(Number);
    const to = {
      ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1],
      Home: [event.ctrlKey ? 0 : row, 0], End: [event.ctrlKey ? rows.length - 1 : row, columns.length - 1],
    }[event.key];
    if (!to) return;
    event.preventDefault();
    const cell = table.current?.querySelector<HTMLElement>(`td[data-at="${to.join()}"]`);
    if (!cell) return;
    from.tabIndex = -1;
    cell.tabIndex = 0;
    cell.focus();
    cell.scrollIntoView?.({ block: 'nearest', inline: 'nearest' });
  }

  let at = -1;
  return (
    <div className="relative max-h-[calc(100dvh-15rem)] min-h-80 overflow-auto">
      <table ref={table} role="grid" aria-label="Permissions of each role" onKeyDown={walk} className="w-full border-separate border-spacing-0 text-left" key={`${rows.length} ${columns.map(({ name }) => name).join()}`}>
        <caption className="sr-only">Permissions of each role</caption>
        <thead className="text-sm">
          <tr>
            <th scope="col" className="sticky top-0 left-0 z-2 border-b border-line bg-surface px-3 py-2 font-medium text-mute sm:px-4">
              Permission
            </th>
            {columns.map(({ name }) => (
              <th key={name} scope="col" className="sticky top-0 z-1 max-w-28 border-b border-line bg-surface px-2 py-2 text-center align-bottom font-medium">
                <Link to={links.role} params={{ name }} tabIndex={0} className="inline-block rounded break-words hover:underline">
                  {roleWord(name)}
                </Link>
              </th>
            ))}
          </tr>
        </thead>
        {grouped(rows).map(([subject, entries]) => (
          <tbody key={subject}>
            <tr>
              <th scope="rowgroup" colSpan={columns.length + 1} className="bg-sunken px-3 py-1 text-sm font-medium text-ink sm:px-4">
                <span className="sticky left-3 sm:left-4">{subject}</span>
              </th>
            </tr>
            {entries.map(({ name, sentence }) => {
              at += 1;
              const row = at;
              const mine = held.includes(name);
              return (
                <tr key={name} className="group">
                  <th scope="row" className="sticky left-0 z-1 min-w-36 border-b border-line bg-surface px-3 py-1 font-normal group-hover:bg-sunken sm:px-4" title={mine ? sentence : `${sentence} You do not hold it.`}>
                    <code className="font-mono text-sm">
                      {name.slice(0, name.indexOf('.') + 1)}
                      <wbr />
                      {name.slice(name.indexOf('.') + 1)}
                    </code>
                    <span className="block text-sm text-mute max-md:hidden">{sentence}</span>
                  </th>
                  {columns.map((role, column) => {
                    const holds = role.permissions.includes(name);
                    return (
                      <td
                        key={role.name}
                        data-at={`${row},${column}`}
                        tabIndex={row === 0 && column === 0 ? 0 : -1}
                        className="border-b border-line px-2 py-1 text-center -outline-offset-2 group-hover:bg-sunken"
                      >
                        {holds ? <Check size={16} strokeWidth={2.5} className="inline text-ok" aria-hidden /> : <span className="text-mute" aria-hidden>·</span>}
                        <span className="sr-only">{`${roleWord(role.name)} ${holds ? 'holds' : 'does not hold'} ${name}`}</span>
                      </td>
                    );
                  })}
                </tr>
              );
            })}
          </tbody>
        ))}
      </table>
    </div>
  );
}
