import { CloudOff } from 'lucide-react';
import type { Problem } from '../api/problem';
import { Button } from '../ui/Button';
import { EmptyState } from '../ui/EmptyState';

/** A page or section whose data could not be had at all: why, what happens next, what to tell support. */
export function Trouble({ problem, again, title = 'This could not be loaded' }: { problem: Problem; again: () => void; title?: string }) {
  return (
    <div role="alert">
      <EmptyState Icon={CloudOff} title={title} action={<Button onClick={again}>Try again now</Button>}>
        <p>{problem.sentence}</p>
        {problem.status !== 403 && <p>The page tries again by itself.</p>}
        {problem.requestId && <p className="mt-2 font-mono text-xs">Request {problem.requestId}</p>}
      </EmptyState>
    </div>
  );
}
