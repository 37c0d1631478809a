// All tabs of a browser share one session, and a session has one tenant in force. A page is of one person in one tenant: when
// another tab changes either, the page asks for nothing more until it is known whose it is, and writes nothing into a tenant that it
// does not show.
import { Problem, problemOf, isRecord } from './problem';
import type { Me } from './types';

type Of = { user: string; tenant: string | undefined };

/** Whose the page is; unknown outside of the shell. */
let page: Of | undefined;
let gate: { opened: Promise<void>; open: () => void; refuse: (problem: Problem) => void } | undefined;
let whenOther: () => void = () => {};

export const ofMe = (me: Me): Of => ({ user: me.user.id, tenant: me.tenant?.id });
export const isSame = (a: Of, b: Of): boolean => a.user === b.user && a.tenant === b.tenant;

export function bindPage(of: Of | undefined): void {
  page = of;
}

/** Called when a request finds that the session is not the page's any more. */
export function onOther(callback: () => void): void {
  whenOther = callback;
}

const OTHER = 'Another tab of this browser works in another tenant now, or for another person: nothing was sent.';
const other = (): Problem => new Problem('other-session', 0, OTHER);

/** Nothing is asked for from now on, until it is known whose the session is. */
export function pause(): void {
  if (gate) return;
  let open = () => {};
  let refuse = (_: Problem) => {};
  const opened = new Promise<void>((done, failed) => [open, refuse] = [done, failed]);
  opened.catch(() => {}); // also where nobody waits
  gate = { opened, open, refuse };
}

/** Goes on for the page that there was, or for another one: what waited for the former is then never sent. */
export function resume(same: boolean): void {
  const was = gate;
  gate = undefined;
  if (same) was?.open();
  else was?.refuse(other());
}

export const isPaused = (): boolean => gate !== undefined;

/** Until one may ask again. */
export async function passage(signal: AbortSignal): Promise<void> {
  if (!gate) return;
  const { opened } = gate;
  await new Promise<void>((done, failed) => {
    signal.addEventListener('abort', () => failed(signal.reason), { once: true });
    opened.then(done, failed);
  });
}

/** What tells whose the session is, or makes it another's. */
const free = (path: string): boolean => path === '/v1/me' || path === '/v1/me/tenant' || path === '/v1/permissions' || path.startsWith('/v1/auth/');
const changesSession = (path: string): boolean => path === '/v1/me/tenant' || path.startsWith('/v1/auth/');

type Send = (request: Request) => Promise<Response>;

/** Tabs take turns: none changes whose the session is between another's look at it and what it sends. */
async function inTurn<T>(mode: LockMode, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  if (!navigator.locks) return run();
  return (await navigator.locks.request('exarch-session', { mode, signal }, run)) as T;
}

/** Sends a request of the page, if the session is the page's. */
export async function guarded(request: Request, send: Send): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (!free(pathname)) await passage(request.signal);
  if (request.method === 'GET') return send(request);
  if (changesSession(pathname)) return inTurn('exclusive', request.signal, () => send(request));
  return inTurn('shared', request.signal, async () => {
    const mine = page;
    if (mine) {
      const look = await send(new Request(new URL('/v1/me', request.url), { headers: { accept: 'application/json' }, signal: request.signal }));
      const told: unknown = await look.json().catch(() => undefined);
      // Who is not signed in is told so by the answer to the request itself.
      if (!look.ok && look.status !== 401) throw problemOf(look, told, Date.now());
      if (look.ok && !isSame(ofAnswer(told), mine)) {
        whenOther();
        throw other();
      }
    }
    return send(request);
  });
}

function ofAnswer(told: unknown): Of {
  const id = (value: unknown) => (isRecord(value) && typeof value.id === 'string' ? value.id : undefined);
  return isRecord(told) ? { user: id(told.user) ?? '', tenant: id(told.tenant) } : { user: '', tenant: undefined };
}
