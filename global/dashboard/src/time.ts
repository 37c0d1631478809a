// Times as people read them. Ages of things the server dated are counted by the server's clock, so that a laptop with a
// wrong clock does not show a probe of the future.
import { useSyncExternalStore } from 'react';

let offsetMs = 0;

/** Learns the server's clock from a `Date` header; it counts whole seconds, so small differences are none. */
export function noteServerDate(header: string | null, now = Date.now()): void {
  const server = header ? Date.parse(header) : Number.NaN;
  if (Number.isNaN(server)) return;
  const difference = server - now;
  offsetMs = Math.abs(difference) < 2_000 ? 0 : difference;
}

export const serverNow = (now: number): number => now + offsetMs;

/** `4 s`, `3 min`, `5 h`, `12 d`: one unit, rounded down. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

export function ago(ms: number): string {
  return ms < 1000 ? 'just now' : `${duration(ms)} ago`;
}

/** Local time with its zone, then UTC: what a person compares with a clock, and what they compare with a log. */
export function absolute(date: Date): string {
  const local = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' }).format(date);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const utc = `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  return zone === 'UTC' ? utc : `${local} ${zone}\n${utc}`;
}

/** Wall time of the day, for "try again at". */
export function clock(ms: number): string {
  return new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' }).format(ms);
}

// One ticking second for the whole page: every age changes in the same frame.
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
let tick = Date.now();

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    tick = Date.now();
    timer = setInterval(() => {
      tick = Date.now();
      for (const each of listeners) each();
    }, 1000);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) clearInterval(timer);
  };
}

/** Browser time in ms, renewed each second. */
export const useNow = (): number => useSyncExternalStore(subscribe, () => tick);
