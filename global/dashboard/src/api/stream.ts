// One list as a stream: its page, and then each change of it. How a stream is kept up is in `watch.ts`.
import { noteServerDate } from '../time';
import { eventReader, type ServerEvent } from './events';
import { isRecord, problemOf, unreachable, unreadable, type Problem } from './problem';
import { isPaused, passage } from './session';

export type Page<T> = { items: T[]; next_page_token?: string | null };
export type Change<T> = { name: 'page'; page: Page<T> } | { name: 'added' | 'changed' | 'removed'; item: T };

/** A list's address with so much on its first page. */
export function paged(path: string, limit: number): string {
  const url = new URL(path, location.origin);
  url.searchParams.set('limit', String(limit));
  return url.pathname + url.search;
}

export type Listener<T> = {
  change: (change: Change<T>) => void;
  /** Something came, if only the sign that the connection is there. */
  alive: () => void;
};

const ANSWER_MS = 10_000;
/** The server says each 15 s that it is there. */
const SILENCE_MS = 35_000;

/** Listens until the stream is over; throws why it is, also the server's own word for that. */
export async function listen<T>(path: string, signal: AbortSignal, { change, alive }: Listener<T>): Promise<never> {
  const silence = new AbortController();
  let timer: ReturnType<typeof setTimeout>;
  const expect = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), ms);
  };
  const offline = () => silence.abort();
  addEventListener('offline', offline);
  try {
    await passage(signal);
    expect(ANSWER_MS);
    const response = await fetch(new Request(new URL(path, location.origin), { headers: { accept: 'text/event-stream' }, signal: AbortSignal.any([signal, silence.signal]) }));
    noteServerDate(response.headers.get('date'));
    if (!response.ok) throw problemOf(response, await response.json().catch(() => undefined), Date.now());
    if (!response.headers.get('content-type')?.startsWith('text/event-stream') || !response.body) throw unreadable(response.status);
    const read = eventReader();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || isPaused()) throw unreachable();
      expect(SILENCE_MS);
      alive();
      for (const event of read(value)) change(changeOf<T>(event));
    }
  } catch (error) {
    throw isProblem(error) ? error : unreachable();
  } finally {
    clearTimeout(timer!);
    removeEventListener('offline', offline);
    silence.abort(); // lets go of the connection, whatever ended this
  }
}

const isProblem = (error: unknown): error is Problem => isRecord(error) && error.name === 'Problem';

function changeOf<T>({ name, data }: ServerEvent): Change<T> {
  let told: unknown;
  try {
    told = JSON.parse(data);
  } catch {
    throw unreadable(200);
  }
  if (name === 'end') {
    const status = isRecord(told) && typeof told.status === 'number' ? told.status : 503;
    throw problemOf(new Response(null, { status }), told, Date.now());
  }
  if (name === 'page') return { name, page: told as Page<T> };
  if (name === 'added' || name === 'changed' || name === 'removed') return { name, item: told as T };
  throw unreadable(200);
}
