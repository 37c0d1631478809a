// The global API as far as the dashboard calls it, in memory, for tests: one function from Request to Response. It
// enforces what the server enforces (session, origin, roles, entitlements), so that a page that forgets it fails here.
import { account as accountRoutes, FIRST_CODE, SECRET, tenCodes } from './account.js';
import { body, json, list, Refused, requireSameOrigin } from './http.js';
import { invitations as invitationRoutes } from './invitations.js';
import { keys as keyRoutes } from './keys.js';
import { regions } from './regions.js';
import { rolesOf, table as tableOfRoles } from './roles.js';
import { people, sessionsOf, tenants } from './rooms.js';
import { asked, settings } from './settings.js';
import { wantsEvents, watched } from './watch.js';
import { world as freshWorld } from './world.js';

/**
 * @typedef {import('./world.js').Account} Account
 * @typedef {import('./world.js').Membership} Membership
 * @typedef {{ id: string, kind: string, account: Account, membership: Membership | undefined, createdAt: number, expiresAt: number, address?: string, agent?: string }} Session
 * @typedef {{ account: Account, next: import('../src/api/types').NextStep['next'], done: Set<string>, expiresAt: number }} Ticket
 */

export const COOKIE = '__Host-exarch-global';
const TICKET_MS = 5 * 60_000;
const SESSION_MS = 7 * 86_400_000;
const TRIES_A_MINUTE = 10;
export { FIRST_CODE };

export function mockApi({ world = freshWorld(), now = () => Date.now() } = {}) {
  /** @type {Map<string, Session>} */ const sessions = new Map();
  /** @type {Map<string, Ticket>} */ const tickets = new Map();
  /** @type {Map<string, number[]>} */ const tries = new Map();
  /** @type {Map<string, string>} */ const resets = new Map();
  const table = tableOfRoles();
  /** @type {Map<string, { email: string, membership: Membership, strict?: boolean }>} */ const invitations = new Map();
  let serial = 0;
  /** @param {string} prefix */
  const next = (prefix) => `${prefix}_${String(++serial).padStart(32, '0')}`;
  for (const { email, tenant, ...of } of world.sessions) {
    const account = world.accounts.find((each) => each.email === email);
    if (!account) continue;
    sessions.set(`elsewhere-${++serial}`, { id: next('ses'), account, membership: account.memberships.find((each) => each.tenant.slug === tenant), ...of });
  }

  /** @param {Request} request */
  function sessionOf(request) {
    const pair = (request.headers.get('cookie') ?? '').split(/;\s*/).find((each) => each.startsWith(`${COOKIE}=`));
    const token = pair?.slice(COOKIE.length + 1) ?? '';
    const session = sessions.get(token);
    if (!session || session.expiresAt <= now()) throw new Refused(401, 'not-signed-in', 'Sign in to go on.');
    return { token, session };
  }

  /** The session of somebody whose roles hold the permission. @param {Request} request @param {string} permission */
  function needs(request, permission) {
    const { session } = sessionOf(request);
    if (!table.held(world, session).has(permission)) {
      throw new Refused(403, 'permission-denied', `You need the permission ${permission} for this.`);
    }
    return session;
  }

  /** @param {Account} account @param {Membership | undefined} membership @param {Request} request */
  function signedIn(account, membership, request) {
    const token = `session-${++serial}`;
    const agent = request.headers.get('user-agent') ?? undefined;
    sessions.set(token, { id: next('ses'), kind: 'cookie', account, membership, createdAt: now(), expiresAt: now() + SESSION_MS, address: '203.0.113.20', agent });
    const { id, slug } = membership?.tenant ?? {};
    const body = { status: 'signed-in', user: { id: account.id, email: account.email }, ...(id && { tenant: { id, slug } }) };
    return json(body, { 'set-cookie': `${COOKIE}=${token}; Path=/; Secure; HttpOnly; SameSite=Lax` });
  }

  /** @param {Request} request @param {Account} account @param {Set<string>} done @param {string} [tenant] */
  function proceed(request, account, done, tenant) {
    /** @param {Ticket['next']} next @param {object} [more] */
    const ask = (next, more) => {
      const ticket = `ticket-${++serial}`;
      tickets.set(ticket, { account, next, done, expiresAt: now() + TICKET_MS });
      return json({ status: 'next', next, ticket, ...more });
    };
    if ((account.mustEnrol || asked(world, account)) && !account.totp) {
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
    return signedIn(account, tenant === undefined ? memberships[0] : member(account, tenant), request);
  }

  /** @param {Account} account @param {string} tenant */
  function member(account, tenant) {
    const found = account.memberships.find(({ tenant: { id, slug } }) => id === tenant || slug === tenant);
    if (!found) throw new Refused(404, 'tenant-not-found', 'There is no such tenant, or it is not yours.');
    return found;
  }

  /** @param {string} token */
  function invited(token) {
    const found = invitations.get(token);
    if (!found) throw new Refused(410, 'token-expired', 'This invitation was used, cancelled, or is older than a day.');
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

  const server = { world, now, next, sessions, session: sessionOf, needs, table };
  /** @type {Record<string, import('./rooms.js').Handler>} */
  const routes = {
    ...accountRoutes(server),
    ...invitationRoutes(server),
    ...keyRoutes(server),
    ...people(server),
    ...regions(server),
    ...rolesOf(server),
    ...sessionsOf(server),
    ...settings(server),
    ...tenants(server),

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
      return proceed(request, account, new Set());
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
        account.totpSince = new Date(now()).toISOString();
        account.recovery = tenCodes();
      }
      if (next === 'change-password') account.password = given.new_password ?? '';
      const answer = proceed(request, account, new Set([...done, next]), next === 'select-tenant' ? (given.tenant ?? '') : undefined);
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

    'POST /v1/auth/invitation': async (request) => {
      const { email, membership, strict } = invited((await body(request, ['token'])).token);
      const has_account = world.accounts.some((account) => account.email === email);
      return json({ tenant: membership.tenant, email, has_account, password_characters: strict ? 12 : 15 });
    },

    'POST /v1/auth/invitation/accept': async (request) => {
      const { token, new_password } = await body(request, ['token'], ['new_password']);
      const { email, membership, strict } = invited(token);
      const account = world.accounts.find((each) => each.email === email);
      if (account && new_password) throw new Refused(422, 'account-exists', 'This address has an account: accept without a password.');
      if (!account && (new_password ?? '').length < (strict ? 12 : 15)) {
        throw new Refused(422, 'weak-password', 'The new password is too short.');
      }
      if (account) account.memberships.push(membership);
      else world.accounts.push({ id: next('usr'), email, display_name: 'Guest', password: new_password ?? '', memberships: [membership] });
      invitations.delete(token);
      world.invitations = world.invitations.filter((each) => each.email !== email || each.tenant !== membership.tenant.id);
      return json({ tenant: membership.tenant, email });
    },

    'POST /v1/auth/sign-out': (request) => {
      sessions.delete(sessionOf(request).token);
      return new Response(null, { status: 204, headers: { 'set-cookie': `${COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0` } });
    },

    'GET /v1/me': (request) => {
      const { account, membership, expiresAt } = sessionOf(request).session;
      return json({
        user: { id: account.id, email: account.email, display_name: account.display_name },
        tenant: membership && { ...membership.tenant, state: world.tenants.find(({ id }) => id === membership.tenant.id)?.state ?? 'active' },
        tenants: account.memberships.map(({ tenant }) => tenant),
        roles: membership?.roles ?? [],
        session: { expires_at: new Date(expiresAt).toISOString() },
        system: account.system,
      });
    },

    'POST /v1/me/tenant': async (request) => {
      const { token, session } = sessionOf(request);
      const { tenant } = await body(request, ['tenant']);
      const answer = signedIn(session.account, member(session.account, tenant), request);
      sessions.delete(token);
      return answer;
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
      const mine = world.regions.filter((region) => entitled.includes(region.slug));
      return list(url, mine.map(({ id, slug, name, url, console_url, lifecycle, health, latency_ms }) => (
        { id, slug, name, url, console_url, state: lifecycle === 'active' ? health : lifecycle, latency_ms }
      )));
    },
  };

  /**
   * A route's path names its parameters by a colon; one written out comes before one with a parameter.
   * @param {string} method @param {string} path @returns {[import('./rooms.js').Handler | undefined, string[]]}
   */
  function routeOf(method, path) {
    const given = path.split('/');
    const fitting = Object.entries(routes).flatMap(([route, handler]) => {
      const [verb, pattern = ''] = route.split(' ');
      const parts = pattern.split('/');
      if (verb !== method || parts.length !== given.length || !parts.every((part, n) => part === ':' || part === given[n])) return [];
      return [{ handler, path: given.filter((_, n) => parts[n] === ':').map(decodeURIComponent) }];
    });
    const [best] = fitting.sort((a, b) => a.path.length - b.path.length);
    return best ? [best.handler, best.path] : [undefined, []];
  }

  /** @param {Request} request @returns {Promise<Response>} */
  async function handle(request) {
    const answer = await once(request);
    if (request.method !== 'GET' || answer.status !== 200 || !wantsEvents(request)) return answer;
    return watched(answer, () => once(request), request.signal);
  }

  /** @param {Request} request @returns {Promise<Response>} */
  async function once(request) {
    const url = new URL(request.url);
    try {
      const [route, path] = routeOf(request.method, url.pathname);
      if (!route) throw new Refused(404, 'not-found', 'There is nothing here, or it is not yours to see.');
      if (request.method !== 'GET') requireSameOrigin(request, url);
      return await route(request, url, ...path);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { status, slug, message: detail, headers, errors } = error;
      const problem = { type: `urn:exarch:problem:${slug}`, title: slug, status, detail, request_id: `req_${++serial}`, ...(slug === 'permission-denied' && { decision_id: `dec_${String(serial).padStart(32, '0')}` }), ...(errors.length > 0 && { errors }) };
      return json(problem, { ...headers, 'content-type': 'application/problem+json' }, status);
    }
  }

  return {
    handle,
    world,
    /** Tokens that went out by mail, and to whom. */
    resets,
    /** Invitations that went out by mail, by token. */
    invitations,
    /** Ends every session, as a revocation would. */
    endSessions: () => sessions.clear(),
  };
}
