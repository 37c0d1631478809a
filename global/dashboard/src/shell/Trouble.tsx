import { CloudOff, Lock, SearchX } from 'lucide-react';
import type { Problem } from '../api/problem';
import { Button } from '../ui/Button';
import { EmptyState } from '../ui/EmptyState';
import { References } from '../ui/References';

/** A page or section whose data could not be had at all: why, what happens next, what to tell support. */
export function Trouble({ problem, again, title = 'This could not be loaded', heading }: { problem: Problem; again: () => void; title?: string; heading?: 'h1' }) {
  const final = problem.status === 403 ? 'refused' : problem.status === 404 ? 'missing' : undefined;
  return (
    <div role="alert">
      <EmptyState
        heading={heading}
        Icon={final === 'refused' ? Lock : final === 'missing' ? SearchX : CloudOff}
        title={final === 'refused' ? 'Your role does not allow this' : final === 'missing' ? 'There is nothing here' : title}
        action={<Button onClick={again}>Try again now</Button>}
      >
        <p>{problem.sentence}</p>
        {final === 'refused' && <p>An administrator can give you a role that does.</p>}
        {!final && <p>The page tries again by itself.</p>}
        <References problem={problem} />
      </EmptyState>
    </div>
  );
}
