import clsx from 'clsx';
import type { Region } from '../api/types';
import { duration } from '../time';
import { Nothing } from './cells';
import { passportTier, type PassportTier } from './state';

const tierLooks: Record<PassportTier, string> = { fresh: 'text-mute', stale: 'text-warn', old: 'text-warn', expired: 'text-bad' };

/** The version at the global, how old the region's freshness is, and whether the region has applied that version. */
export function Passport({ passport }: { passport: Region['passport'] }) {
  if (!passport) return <Nothing says="none yet" />;
  const { version, acknowledged, age_seconds: age } = passport;
  const tier = age == null ? undefined : passportTier(age);
  return (
    <span className="whitespace-nowrap tabular-nums">
      v{version}
      {tier && age != null && <span className={clsx('text-sm', tierLooks[tier])}> · {tier}, {duration(age * 1000)}</span>}
      {acknowledged != null && acknowledged !== version && (
        <span className="block text-sm text-warn">the region has v{acknowledged}</span>
      )}
    </span>
  );
}
