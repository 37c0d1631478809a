// What went wrong with a call, in a form that a page can show: one sentence, and what support needs to find the cause.

const PREFIX = 'urn:exarch:problem:';

/** One value that was refused: where it stands in the body (RFC 6901), and what is wrong with it. */
export type FieldError = { pointer: string; reason: string };

/** The server's answers of RFC 9457, and our own `unreachable` and `unreadable` when there was none to read. */
export class Problem extends Error {
  override readonly name = 'Problem';
  constructor(
    /** `urn:exarch:problem:<slug>` without its prefix; `unreachable`, `unreadable` or `other` are ours. */
    readonly slug: string,
    /** HTTP status; 0 when no answer came. */
    readonly status: number,
    /** One sentence that a person can act on. */
    readonly sentence: string,
    readonly requestId?: string,
    /** When another try makes sense, as browser time in ms; from `Retry-After`. */
    readonly retryAt?: number,
    readonly errors: readonly FieldError[] = [],
    /** By which a refusal is explained. */
    readonly decisionId?: string,
  ) {
    super(sentence);
  }
}

export function unreachable(): Problem {
  return new Problem('unreachable', 0, 'The server could not be reached. Check your connection.');
}

export function unreadable(status: number): Problem {
  return new Problem('unreadable', status, 'The answer was not one of Exarch. Something between you and the server may have sent it.');
}

/** `body` is the parsed body of a refused answer, of any shape. */
export function problemOf(response: Response, body: unknown, now: number): Problem {
  const document = isRecord(body) ? body : {};
  const text = (key: string) => (typeof document[key] === 'string' ? document[key].trim() : '');
  const type = text('type');
  return new Problem(
    type.startsWith(PREFIX) ? type.slice(PREFIX.length) : 'other',
    response.status,
    text('detail') || text('title') || byStatus(response.status),
    text('request_id') || response.headers.get('x-request-id') || undefined,
    retryAt(response.headers.get('retry-after'), now),
    fieldErrors(document.errors),
    text('decision_id') || undefined,
  );
}

/** Anything thrown, as a Problem; a fault of our own code is shown as such and not as the network's. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem('fault', 0, 'The page met a fault of its own. Reload it; if it stays, tell your provider.');
}

function retryAt(header: string | null, now: number): number | undefined {
  if (!header) return undefined;
  const at = /^\d+$/.test(header) ? now + Number(header) * 1000 : Date.parse(header);
  return Number.isFinite(at) ? Math.max(at, now) : undefined;
}

function fieldErrors(errors: unknown): FieldError[] {
  if (!Array.isArray(errors)) return [];
  return errors.filter(isRecord).flatMap(({ pointer, reason }) =>
    typeof pointer === 'string' && typeof reason === 'string' ? [{ pointer, reason }] : [],
  );
}

function byStatus(status: number): string {
  if (status === 403) return 'Your account may not do this.';
  if (status === 404) return 'There is nothing here, or it is not yours to see.';
  if (status === 429) return 'Too many tries in a short time.';
  if (status === 503) return 'The server cannot do this at the moment.';
  return status >= 500 ? 'The server met a fault. Try again in a moment.' : 'The server refused this.';
}

export const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
