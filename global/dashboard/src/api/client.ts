// The one door to the API. Types come from the server's OpenAPI document (`npm run api`); failures leave as Problem.
import createClient from 'openapi-fetch';
import { Problem, problemOf, unreachable, unreadable } from './problem';
import type { paths } from './schema';
import { guarded } from './session';
import { noteServerDate } from '../time';

/** A call that hangs is a call that failed: the page must say so while the data is still nearly fresh. */
const TIMEOUT_MS = 10_000;

/** What a signed-in person is refused with who did not prove again that it is they. */
const FOR_THE_FORM = ['not-confirmed', 'code-refused'];

let whenSignedOut: () => void = () => {};

/** Called when the server no longer knows our session, whichever call learned it. */
export function onSignedOut(callback: () => void): void {
  whenSignedOut = callback;
}

const stillSignedIn = (): Promise<boolean> => fetch(new Request(new URL('/v1/me', location.origin))).then(({ ok }) => ok, () => true);

// A list is asked for as one page: streams are not for this client.
export const api = createClient<paths, 'application/json' | 'application/problem+json'>({
  baseUrl: location.origin,
  headers: { accept: 'application/json, application/problem+json' },
  fetch: (request) => guarded(request, (each) => globalThis.fetch(each, { signal: AbortSignal.any([each.signal, AbortSignal.timeout(TIMEOUT_MS)]) })),
});

api.use({
  async onResponse({ response, schemaPath }) {
    noteServerDate(response.headers.get('date'));
    // A refused sign-in, password or code is an answer for its form; any other 401 means that the session is over.
    if (response.status !== 401 || schemaPath.startsWith('/v1/auth/')) return;
    const body: unknown = await response.clone().json().catch(() => undefined);
    if (FOR_THE_FORM.includes(problemOf(response, body, Date.now()).slug)) return;
    // A switch in another tab ends the session that this was asked in, and begins another one.
    if (schemaPath !== '/v1/me' && (await stillSignedIn())) return;
    whenSignedOut();
  },
});

export type Outcome<T> = { data?: T; error?: unknown; response: Response };

/** Awaits a call of `api`; throws a Problem for everything but success. */
async function answered<T>(call: Promise<Outcome<T>>): Promise<Outcome<T>> {
  let outcome: Outcome<T>;
  try {
    outcome = await call;
  } catch (error) {
    // openapi-fetch parses the body: a SyntaxError means that an answer came, but not from our server.
    if (error instanceof Problem) throw error;
    throw error instanceof SyntaxError ? unreadable(0) : unreachable();
  }
  const { response } = outcome;
  if (!response.ok) throw problemOf(response, outcome.error, Date.now());
  return outcome;
}

/** What a call of `api` answers. */
export async function data<T>(call: Promise<Outcome<T>>): Promise<T> {
  return (await answered(call)).data as T;
}

/** Something that can be edited, and which version of it this is. */
export type Tagged<T> = { value: T; tag: string };

export async function tagged<T>(call: Promise<Outcome<T>>): Promise<Tagged<T>> {
  const { data: value, response } = await answered(call);
  // A proxy that compresses marks the tag as weak. The version in it is the same, and only a strong one is ever matched.
  const tag = response.headers.get('etag')?.replace(/^W\//, '');
  if (!tag) throw unreadable(response.status);
  return { value: value as T, tag };
}

/** The header by which a change is refused when it is not of this version any more. */
export const onlyIf = (tag: string) => ({ header: { 'If-Match': tag } });

/** The header by which a creating request can be sent again without a second effect. */
export const once = (key: string) => ({ header: { 'Idempotency-Key': key } });

const PAGE = 100;
const MOST_PAGES = 50;

/** All items of a list, page after page. */
export async function all<T>(
  page: (query: { limit: number; page_token?: string }) => Promise<Outcome<{ items: T[]; next_page_token?: string | null }>>,
): Promise<T[]> {
  const items: T[] = [];
  let page_token: string | undefined;
  for (let n = 0; n < MOST_PAGES; n += 1) {
    const answer = await data(page(page_token === undefined ? { limit: PAGE } : { limit: PAGE, page_token }));
    items.push(...answer.items);
    if (!answer.next_page_token) return items;
    page_token = answer.next_page_token;
  }
  throw new Problem('unreadable', 200, 'The list does not end. Tell your provider.');
}
