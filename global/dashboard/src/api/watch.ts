// Keeps a stream up as long as somebody looks: begins again after a break, waits longer each time, and lets go in a tab that
// nobody sees.
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { asProblem } from './problem';
import { listen, type Change } from './stream';

/** Waits after the first, second, … break in a row; after more as after the last. */
const PAUSES_MS = [1_000, 2_000, 4_000, 8_000, 15_000];
/** A browser keeps six connections to an origin of HTTP/1.1 for all its tabs: some have to be left for everything else. */
const SLOTS = 4;
const SLOT_PAUSE_MS = 30_000;
/** A stream that ends by itself after so long is begun again without a word. */
const LONG_MS = 10_000;

export type Watched = {
  /** Whether changes come by themselves now. */
  on: boolean;
  /** When the server was heard of last, in browser time. */
  heardAt: number;
};

export const POLLED: Watched = { on: false, heardAt: 0 };

type Keeper<T> = { change: (change: Change<T>) => void; alive: () => void; broken: () => void };

/** Until the signal says that nobody looks any more, or the server that there is nothing to see. */
async function keep<T>(path: string, signal: AbortSignal, { change, alive, broken }: Keeper<T>): Promise<void> {
  for (let breaks = 0; !signal.aborted; breaks += 1) {
    const began = Date.now();
    try {
      await listen<T>(path, signal, {
        alive,
        change: (told) => {
          breaks = 0;
          change(told);
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      const { slug, status, retryAt } = asProblem(error);
      const final = status === 403 || status === 404;
      const over = slug === 'watch-over' && Date.now() - began > LONG_MS;
      // Of a session that has ended it is the poll that tells, or goes on in another one.
      if (!over) broken();
      if (final) return;
      if (over) continue;
      const pause = PAUSES_MS[Math.min(breaks, PAUSES_MS.length - 1)]!;
      // Not all tabs of everybody at the same moment.
      await wait(Math.max(pause * (0.75 + Math.random() / 4), (retryAt ?? 0) - Date.now()), signal);
    }
  }
}

/** Ends early when the signal or the network comes. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener('online', end);
      signal.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, ms);
    addEventListener('online', end);
    signal.addEventListener('abort', end);
  });
}

/** Runs within one of the browser's few slots; waits for one as long as it takes. */
async function inSlot(signal: AbortSignal, run: () => Promise<void>): Promise<void> {
  if (!navigator.locks) return run();
  while (!signal.aborted) {
    for (let n = 0; n < SLOTS; n += 1) {
      const had = await navigator.locks.request(`exarch-stream-${n}`, { ifAvailable: true }, async (lock) => {
        if (lock) await run();
        return lock !== null;
      });
      if (had || signal.aborted) return;
    }
    await wait(SLOT_PAUSE_MS, signal);
  }
}

const seen = () => document.visibilityState === 'visible';
const onSeen = (listener: () => void) => {
  document.addEventListener('visibilitychange', listener);
  return () => document.removeEventListener('visibilitychange', listener);
};

/** Listens to the list at a path; to none while that is undefined. `broken` is told of each break. */
export function useWatch<T>(path: string | undefined, listener: { change: (change: Change<T>) => void; broken: () => void }): Watched {
  const visible = useSyncExternalStore(onSeen, seen);
  const [watched, setWatched] = useState({ ...POLLED, path });
  const current = useRef(listener);
  useEffect(() => {
    current.current = listener;
  });
  useEffect(() => {
    if (path === undefined || !visible) return;
    const stop = new AbortController();
    const off = () => setWatched((was) => (was.on ? { ...was, on: false } : was));
    void inSlot(stop.signal, () => keep<T>(path, stop.signal, {
      change: (change) => current.current.change(change),
      alive: () => setWatched({ on: true, heardAt: Date.now(), path }),
      broken: () => {
        off();
        current.current.broken();
      },
    }));
    return () => {
      stop.abort();
      off();
    };
  }, [path, visible]);
  return watched.path === path ? watched : POLLED;
}
