// What every route of the mock shares: refusals, reading and answering JSON, pages.

export class Refused extends Error {
  /**
   * @param {number} status @param {string} slug @param {string} detail
   * @param {Record<string, string>} [headers] @param {{ pointer: string, reason: string }[]} [errors]
   */
  constructor(status, slug, detail, headers = {}, errors = []) {
    super(detail);
    this.status = status;
    this.slug = slug;
    this.headers = headers;
    this.errors = errors;
  }
}

/** One value of the body that is refused. @param {string} pointer @param {string} reason @param {string} [slug] @param {number} [status] @param {string} [detail] */
export const wrong = (pointer, reason, slug = 'invalid-value', status = 422, detail = 'A value in the body cannot be accepted; see errors.') =>
  new Refused(status, slug, detail, {}, [{ pointer, reason }]);

/** @param {string} slug @param {string} detail */
export const missing = (slug, detail) => new Refused(404, slug, detail);

/** @param {Request} request @param {URL} url */
export function requireSameOrigin(request, url) {
  const site = request.headers.get('sec-fetch-site');
  const origin = request.headers.get('origin');
  if ((site && site !== 'same-origin') || (origin && origin !== url.origin)) {
    throw new Refused(403, 'cross-origin', 'This request came from another site.');
  }
}

/** A JSON object with no field but these. @param {Request} request @param {string[]} fields @returns {Promise<Record<string, any>>} */
export async function object(request, fields) {
  if (!request.headers.get('content-type')?.startsWith('application/json')) {
    throw new Refused(415, 'unsupported-media-type', 'Send JSON.');
  }
  const given = await request.json();
  const unknown = Object.keys(given).find((key) => !fields.includes(key));
  if (unknown) throw wrong(`/${unknown}`, 'is not a field of this request');
  return given;
}

/**
 * A JSON object of strings with exactly these fields.
 * @template {string} K
 * @template {string} [O=never]
 * @param {Request} request @param {K[]} required @param {O[]} [optional]
 * @returns {Promise<Record<K, string> & Partial<Record<O, string>>>}
 */
export async function body(request, required, optional = []) {
  const given = await object(request, [...required, ...optional]);
  const odd = Object.entries(given).find(([, value]) => typeof value !== 'string');
  const absent = required.find((key) => !(key in given));
  if (odd || absent) throw wrong(`/${odd?.[0] ?? absent}`, odd ? 'expected a string' : 'is missing');
  return /** @type {any} */ (given);
}

/** A text for people, as the server wants it. @param {unknown} given @param {string} pointer @param {number} [most] */
export function text(given, pointer, most = 100) {
  if (typeof given !== 'string' || given.length < 1 || given.length > most) throw wrong(pointer, `expected 1 to ${most} characters`);
  if (given.trim() !== given) throw wrong(pointer, 'expected no white space at the beginning or end');
  return given;
}

/** @param {unknown} given @param {string} pointer */
export function slug(given, pointer) {
  if (typeof given !== 'string' || !/^(?!-)[a-z0-9-]{1,63}(?<!-)$/.test(given)) {
    throw wrong(pointer, 'expected 1 to 63 lower-case letters, digits or hyphens, not starting or ending with a hyphen');
  }
  return given;
}

/** @param {unknown} given @param {string} pointer */
export function email(given, pointer) {
  const address = String(given).trim().toLowerCase();
  if (!/^[^\s@]+@[^\s@.][^\s@]*[^\s@.]$/.test(address)) throw wrong(pointer, 'expected an e-mail address of at most 254 characters');
  return address;
}

/** @param {URL} url @param {object[]} items */
export function list(url, items) {
  const limit = Math.min(Number(url.searchParams.get('limit') ?? 20), 100);
  const from = Number(url.searchParams.get('page_token') ?? 0);
  const next = from + limit < items.length ? String(from + limit) : undefined;
  return json({ items: items.slice(from, from + limit), next_page_token: next });
}

/** @param {object} value @param {Record<string, string>} [headers] @param {number} [status] */
export function json(value, headers = {}, status = 200) {
  return new Response(JSON.stringify(value), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  });
}

/** @param {object} value */
export const created = (value) => json(value, {}, 201);
export const done = () => new Response(null, { status: 204 });
