import { useQuery } from '@tanstack/react-query';
import { Eye, Pencil } from 'lucide-react';
import { useMe } from '../api/me';
import { asProblem } from '../api/problem';
import type { PermissionEntry, Role } from '../api/types';
import { Trouble } from '../shell/Trouble';
import { Card } from '../ui/Card';
import { Skeleton } from '../ui/Page';
import { catalogueQuery } from './queries';
import { grouped } from './words';

/** What a role holds, by what it acts on, each with its sentence. */
export function Holdings({ role }: { role: Role }) {
  const catalogue = useQuery(catalogueQuery);
  if (catalogue.isError && !catalogue.data) return <Trouble title="The permissions could not be loaded" problem={asProblem(catalogue.error)} again={() => void catalogue.refetch()} />;
  if (!catalogue.data) return <Skeleton />;
  const known = catalogue.data.filter(({ name }) => role.permissions.includes(name));
  const unknown = role.permissions.filter((name) => !catalogue.data.some((each) => each.name === name));
  return (
    <Card>
      {grouped(known).map(([subject, entries]) => (
        <section key={subject} aria-label={subject} className="grid gap-x-6 gap-y-1 border-b border-line px-4 py-3 last:border-0 md:grid-cols-[11rem_1fr]">
          <h3 className="font-medium">{subject}</h3>
          <ul className="space-y-1">
            {entries.map((entry) => (
              <Holding key={entry.name} entry={entry} />
            ))}
          </ul>
        </section>
      ))}
      {unknown.length > 0 && <p className="px-4 py-3 text-mute">This version does not know {unknown.join(', ')}: it gives nothing.</p>}
    </Card>
  );
}

function Holding({ entry: { name, access, sentence } }: { entry: PermissionEntry }) {
  const { held } = useMe();
  const Icon = access === 'write' ? Pencil : Eye;
  return (
    <li className="grid grid-cols-[1rem_1fr] gap-x-2 sm:grid-cols-[1rem_13rem_1fr]">
      <Icon size={14} className="mt-1 text-mute" aria-hidden />
      <code className="font-mono text-sm break-all">{name}</code>
      <span className="col-start-2 sm:col-start-3">
        {sentence}
        {!held.includes(name) && <span className="text-sm text-mute"> You do not hold it.</span>}
      </span>
    </li>
  );
}
