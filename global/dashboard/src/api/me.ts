import { createContext, useContext } from 'react';
import type { Me } from './types';

export const MeContext = createContext<Me | null>(null);

/** Who is signed in; only inside the shell, which renders no page before it knows. */
export function useMe(): Me {
  const me = useContext(MeContext);
  if (!me) throw new Error('useMe outside of the shell');
  return me;
}

/** Provider staff: people with any role of system scope. What they may see the server decides at each call. */
export const isStaff = (me: Me): boolean => (me.system?.length ?? 0) > 0;
