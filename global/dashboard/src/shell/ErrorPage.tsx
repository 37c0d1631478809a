import { useRouter } from '@tanstack/react-router';
import { Bug, Compass } from 'lucide-react';
import { links } from '../links';
import { Button } from '../ui/Button';
import { EmptyState } from '../ui/EmptyState';

const STALE_APP = /dynamically imported module|module script failed|error loading/i;

/** A fault of the page itself. Says what still holds, and gives what a report needs. */
export function ErrorPage({ error }: { error: unknown }) {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const upgraded = STALE_APP.test(text);
  return (
    <main className="grid min-h-dvh place-items-center">
      <title>Fault · Exarch</title>
      <EmptyState
        heading="h1"
        Icon={Bug}
        title={upgraded ? 'The dashboard was updated' : 'This page met a fault'}
        action={
          <div className="flex justify-center gap-2">
            <Button look="primary" onClick={() => location.reload()}>
              Reload
            </Button>
            {!upgraded && <Button onClick={() => location.assign(links.home)}>Go to regions</Button>}
          </div>
        }
      >
        {upgraded ? (
          <p>A newer version is on the server. Reload to get it.</p>
        ) : (
          <>
            <p>It is a fault of this page alone: regions, agents and leases go on. Reload, and if it stays, report these lines.</p>
            <pre className="mt-3 overflow-x-auto rounded-md bg-sunken p-3 text-left font-mono text-xs whitespace-pre-wrap">
              {text}
              {`\n${location.pathname} · ${new Date().toISOString()}`}
            </pre>
          </>
        )}
      </EmptyState>
    </main>
  );
}

export function NotFoundPage() {
  const router = useRouter();
  return (
    <main className="grid min-h-dvh place-items-center">
      <title>Not found · Exarch</title>
      <EmptyState
        heading="h1"
        Icon={Compass}
        title="There is no such page"
        action={<Button onClick={() => void router.navigate({ to: links.home })}>Go to regions</Button>}
      >
        The address may be old or mistyped: <code className="font-mono text-sm break-all">{location.pathname}</code>
      </EmptyState>
    </main>
  );
}
