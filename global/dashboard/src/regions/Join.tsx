import { useQuery } from '@tanstack/react-query';
import { LoaderCircle } from 'lucide-react';
import { useMe } from '../api/me';
import { regionQuery, REGIONS_EVERY_MS } from '../api/queries';
import type { JoinToken } from '../api/types';
import { duration, serverNow, useNow } from '../time';
import { Notice } from '../ui/Notice';
import { CopyLine, ShownOnce } from '../ui/ShownOnce';

/** How a gateway joins: the line, the token this once, and whether it has come. */
export function Join({ slug, name, token }: { slug: string; name: string; token: JoinToken }) {
  const region = useQuery({ ...regionQuery(useMe(), slug), refetchInterval: REGIONS_EVERY_MS });
  const left = Date.parse(token.expires_at) - serverNow(useNow());
  const state = region.data?.lifecycle ?? 'registered';
  if (state !== 'registered') {
    return (
      <Notice kind="info">
        {state === 'joining' ? `The gateway of ${name} has joined. The region opens with its first passport and its first good probe.` : `${name} is in service.`}
      </Notice>
    );
  }
  return (
    <div className="space-y-3">
      <ShownOnce label="Join token" text={token.token}>
        <ol className="list-decimal space-y-4 pl-5">
          <li>
            <p className="mb-2">On the gateway’s host, run this line. It reads the token from its input.</p>
            <CopyLine label="Join line" text={token.line} />
          </li>
          <li>
            Paste the token, press Enter and then Ctrl-D. It lets in one gateway, once, and <strong className="font-semibold">is not shown again</strong>.
          </li>
        </ol>
      </ShownOnce>
      <p className="flex flex-wrap items-center gap-x-2 text-mute">
        <LoaderCircle size={15} className="animate-spin" aria-hidden />
        Waiting for the gateway.
        {left > 0 ? <span className="tabular-nums">The token ends in {duration(left)}.</span> : <span className="text-warn">The token has ended: make a new one on the region’s page.</span>}
      </p>
    </div>
  );
}
