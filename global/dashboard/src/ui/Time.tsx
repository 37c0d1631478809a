import { absolute, ago, duration, serverNow, useNow } from '../time';

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

/** How long until then, or how long since it passed. */
export function Until({ at }: { at: string }) {
  const left = Date.parse(at) - serverNow(useNow());
  if (Number.isNaN(left)) return <span>{at}</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={absolute(new Date(at))} className="whitespace-nowrap tabular-nums">
      {left >= 0 ? `in ${duration(left)}` : ago(-left)}
    </time>
  );
}
