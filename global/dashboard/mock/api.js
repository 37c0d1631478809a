// The global API as far as the dashboard calls it, in memory, for tests: one function from Request to Response. It
// enforces what the server enforces (session, origin, roles, entitlements), so that a page that forgets it fails here.
import { world as freshWorld } from './world.js';

/**
 * @typedef {import('./world.js').Account} Account
 * @typedef {import('./world.js').Membership} Membership
 * @typedef {{ account: Account, membership: Membership | undefined, expiresAt: number }} Session
 * @typedef {{ account: Account, next: import('../src/api/types').NextStep['next'], done: Set<string>, expiresAt: number }} Ticket
 */

export const COOKIE = '__Host-exarch-global';
const TICKET_MS = 5 * 60_000;
const SESSION_MS = 7 * 86_400_000;
const TRIES_A_MINUTE = 10;
/** What an app is enrolled with, and the code that it shows first. */
const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
export const FIRST_CODE = '161803';

class Refused extends Error {
  /** @param {number} status @param {string} slug @param {string} detail @param {Record<string, string>} [headers] */
  constructor(status, slug, detail, headers = {}) {
    super(detail);
    this.status = status;
    this.slug = slug;
    this.headers = headers;
  }
}

export function mockApi({ world = freshWorld(), now = () => Date.now() } = {}) {
  /** @type {Map<string, Session>} */ const sessions = new Map();
  /** @type {Map<string, Ticket>} */ const tickets = new Map();
  /** @type {Map<string, number[]>} */ const tries = new Map();
  /** @type {Map<string, string>} */ const resets = new Map();
  let serial = 0;

  /** @param {Request} request */
  function sessionOf(request) {
    const pair = (request.headers.get('cookie') ?? '').split(/;\s*/).find((each) => each.startsWith(`${COOKIE}=`));
    const token = pair?.slice(COOKIE.length + 1) ?? '';
    const session = sessions.get(token);
    if (!session || session.expiresAt <= now()) throw new Refused(401, 'not-signed-in', 'Sign in to go on.');
    return { token, session };
  }

  /** @param {Account} account @param {Membership | undefined} membership */
  function signedIn(account, membership) {
    const token = `session-${++serial}`;
    sessions.set(token, { account, membership, expiresAt: now() + SESSION_MS });
    const { id, slug } = membership?.tenant ?? {};
    const body = { status: 'signed-in', user: { id: account.id, email: account.email }, ...(id && { tenant: { id, slug } }) };
    return json(body, { 'set-cookie': `${COOKIE}=${token}; Path=/; Secure; HttpOnly; SameSite=Lax` });
  }

  /** @param {Account} account @param {Set<string>} done @param {string} [tenant] */
  function proceed(account, done, tenant) {
    /** @param {Ticket['next']} next @param {object} [more] */
    const ask = (next, more) => {
      const ticket = `ticket-${++serial}`;
      tickets.set(ticket, { account, next, done, expiresAt: now() + TICKET_MS });
      return json({ status: 'next', next, ticket, ...more });
    };
    if (account.mustEnrol && !account.totp) {
      return ask('second-factor', { enrolment: { id: 'enrolment', secret: SECRET, uri: `otpauth://totp/Exarch:x?secret=${SECRET}` } });
    }
    if (account.totp && !done.has('second-factor')) return ask('second-factor');
    if (account.mustChange && !done.has('change-password')) return ask('change-password');
    const { memberships } = account;
    if (memberships.length === 0 && !account.system) {
      throw new Refused(403, 'no-tenant', 'You belong to no tenant.');
    }
    if (memberships.length > 1 && tenant === undefined) {
      return ask('select-tenant', { tenants: memberships.map((membership) => membership.tenant) });
    }
    return signedIn(account, tenant === undefined ? memberships[0] : member(account, tenant));
  }

  /** @param {Account} account @param {string} tenant */
  function member(account, tenant) {
    const found = account.memberships.find(({ tenant: { id, slug } }) => id === tenant || slug === tenant);
    if (!found) throw new Refused(404, 'tenant-not-found', 'There is no such tenant, or it is not yours.');
    return found;
  }

  /** @param {string} typed */
  function waiting(typed) {
    const code = typed.replace(/[\s-]/g, '').toUpperCase();
    const found = world.devices.find((device) => device.code.replace('-', '') === code && !device.answer);
    if (!found) throw new Refused(404, 'code-not-found', 'No program waits with this code.');
    return found;
  }

  /** @param {Request} request @param {string} answer */
  async function answered(request, answer) {
    sessionOf(request);
    waiting((await body(request, ['user_code'])).user_code).answer = answer;
    return new Response(null, { status: 204 });
  }

  /** @type {Record<string, (request: Request, url: URL) => Promise<Response> | Response>} */
  const routes = {
    'POST /v1/auth/sign-in': async (request) => {
      const { email, password } = await body(request, ['email', 'password', 'session'], ['tenant']);
      const recent = (tries.get(email) ?? []).filter((at) => at > now() - 60_000);
      if (recent.length >= TRIES_A_MINUTE) {
        const wait = Math.ceil(((recent[0] ?? 0) + 60_000 - now()) / 1000);
        throw new Refused(429, 'too-many-requests', 'Too many sign-ins for this account.', { 'retry-after': String(wait) });
      }
      tries.set(email, [...recent, now()]);
      const account = world.accounts.find((each) => each.email === email.toLowerCase());
      if (!account || account.password !== password) {
        throw new Refused(401, 'sign-in-refused', 'The e-mail or the password is wrong.');
      }
      return proceed(account, new Set());
    },

    'POST /v1/auth/next': async (request) => {
      const given = await body(request, ['ticket'], ['tenant', 'totp', 'new_password']);
      const ticket = tickets.get(given.ticket);
      if (!ticket || ticket.expiresAt <= now()) throw new Refused(401, 'ticket-expired', 'Signing in took too long.');
      const { account, next, done } = ticket;
      const enrols = next === 'second-factor' && !account.totp;
      const recovery = account.recovery?.indexOf(given.totp ?? '') ?? -1;
      if (next === 'second-factor' && given.totp !== (enrols ? FIRST_CODE : account.totp) && recovery < 0) {
        throw new Refused(401, 'code-refused', 'The code is not right or was used before. Enter the one shown now.');
      }
      if (next === 'change-password' && (given.new_password ?? '').length < 15) {
        throw new Refused(422, 'password-too-short', 'The new password needs at least 15 characters.');
      }
      tickets.delete(given.ticket);
      if (recovery >= 0) account.recovery?.splice(recovery, 1);
      if (enrols) {
        account.totp = given.totp;
        account.recovery = Array.from({ length: 10 }, (_, n) => `code-numb-er${n}${n}-here`);
      }
      if (next === 'change-password') account.password = given.new_password ?? '';
      const answer = proceed(account, new Set([...done, next]), next === 'select-tenant' ? (given.tenant ?? '') : undefined);
      if (!enrols) return answer;
      const { headers } = answer;
      return new Response(JSON.stringify({ ...(await answer.json()), recovery_codes: account.recovery }), { headers });
    },

    'POST /v1/auth/password-reset': async (request) => {
      const { email } = await body(request, ['email']);
      if (world.accounts.some((account) => account.email === email)) resets.set(`reset-${++serial}`, email);
      return new Response(null, { status: 202 });
    },

    'POST /v1/auth/password-reset/complete': async (request) => {
      const { token, new_password } = await body(request, ['token', 'new_password']);
      const account = world.accounts.find(({ email }) => email === resets.get(token));
      if (!account) throw new Refused(410, 'token-expired', 'This link was used before.');
      if (new_password.length < 15) throw new Refused(422, 'weak-password', 'The new password has fewer than 15 characters.');
      resets.delete(token);
      account.password = new_password;
      return new Response(null, { status: 204 });
    },

    'POST /v1/auth/sign-out': (request) => {
      sessions.delete(sessionOf(request).token);
      return new Response(null, { status: 204, headers: { 'set-cookie': `${COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0` } });
    },

    'GET /v1/me': (request) => {
      const { account, membership, expiresAt } = sessionOf(request).session;
      return json({
        user: { id: account.id, email: account.email },
        tenant: membership?.tenant,
        tenants: account.memberships.map(({ tenant }) => tenant),
        roles: membership?.roles ?? [],
        session: { expires_at: new Date(expiresAt).toISOString() },
        system: account.system,
      });
    },

    'POST /v1/me/tenant': async (request) => {
      const { session } = sessionOf(request);
      const { tenant } = await body(request, ['tenant']);
      session.membership = member(session.account, tenant);
      return json({});
    },

    'POST /v1/me/device/look': async (request) => {
      sessionOf(request);
      const { address, user_agent, asked_at, expires_at } = waiting((await body(request, ['user_code'])).user_code);
      return json({ client: 'exarch, the command line', address, user_agent, asked_at, expires_at });
    },

    'POST /v1/me/device/approve': async (request) => answered(request, 'approved'),

    'POST /v1/me/device/deny': async (request) => answered(request, 'denied'),

    'GET /v1/me/regions': (request, url) => {
      const entitled = sessionOf(request).session.membership?.regions ?? [];
      const regions = world.regions.filter((region) => entitled.includes(region.slug));
      return list(url, regions.map(({ slug, name, url, console_url, lifecycle, health, latency_ms }) => (
        { slug, name, url, console_url, state: lifecycle === 'active' ? health : lifecycle, latency_ms }
      )));
    },

    'GET /v1/regions': (request, url) => {
      if (!sessionOf(request).session.account.system) {
        throw new Refused(403, 'forbidden', 'Only provider staff may list the regions of the federation.');
      }
      return list(url, world.regions);
    },
  };

  /** @param {Request} request @returns {Promise<Response>} */
  async function handle(request) {
    const url = new URL(request.url);
    try {
      const route = routes[`${request.method} ${url.pathname}`];
      if (!route) throw new Refused(404, 'not-found', 'There is nothing here, or it is not yours to see.');
      if (request.method !== 'GET') requireSameOrigin(request, url);
      return await route(request, url);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { status, slug, message: detail, headers } = error;
      const problem = { type: `urn:exarch:problem:${slug}`, title: slug, status, detail, request_id: `req_${++serial}` };
      return json(problem, { ...headers, 'content-type': 'application/problem+json' }, status);
    }
  }

  return {
    handle,
    world,
    /** Tokens that went out by mail, and to whom. */
    resets,
    /** Ends every session, as a revocation would. */
    endSessions: () => sessions.clear(),
  };
}

/** @param {Request} request @param {URL} url */
function requireSameOrigin(request, url) {
  const site = request.headers.get('sec-fetch-site');
  const origin = request.headers.get('origin');
  if ((site && site !== 'same-origin') || (origin && origin !== url.origin)) {
    throw new Refused(403, 'cross-origin', 'This request came from another site.');
  }
}

/**
 * A JSON object of strings with exactly these fields.
 * @template {string} K
 * @template {string} [O=never]
 * @param {Request} request @param {K[]} required @param {O[]} [optional]
 * @returns {Promise<Record<K, string> & Partial<Record<O, string>>>}
 */
async function body(request, required, optional = []) {
  if (!request.headers.get('content-type')?.startsWith('application/json')) {
    throw new Refused(415, 'unsupported-media-type', 'Send JSON.');
  }
  const given = await request.json();
  const known = new Set([...required, ...optional].map(String));
  const wrong = Object.entries(given).find(([key, value]) => !known.has(key) || typeof value !== 'string');
  const missing = required.find((key) => !(key in given));
  if (wrong || missing) throw new Refused(400, 'malformed', `Field ${wrong?.[0] ?? missing} is not as it should be.`);
  return given;
}

/** @param {URL} url @param {object[]} items */
function list(url, items) {
  const limit = Math.min(Number(url.searchParams.get('limit') ?? 20), 100);
  const from = Number(url.searchParams.get('page_token') ?? 0);
  const next = from + limit < items.length ? String(from + limit) : undefined;
  return json({ items: items.slice(from, from + limit), next_page_token: next });
}

/** @param {object} value @param {Record<string, string>} [headers] @param {number} [status] */
function json(value, headers = {}, status = 200) {
  return new Response(JSON.stringify(value), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  });
}
