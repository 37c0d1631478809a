import { absolute, ago, serverNow, useNow } from '../time';

/** How long ago, and on hover when exactly, here and in UTC. `at` is a time the server gave. */
export function Time({ at }: { at: string }) {
  const now = serverNow(useNow());
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <span>{at}</span>;
  return (
    <time dateTime={date.toISOString()} title={absolute(date)} className="whitespace-nowrap tabular-nums">
      {ago(now - date.getTime())}
    </time>
  );
}
