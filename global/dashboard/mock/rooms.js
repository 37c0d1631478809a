// The routes behind the pages of staff and administrators.
import { created, done, email, json, list, missing, object, Refused, slug, text, wrong } from './http.js';
import { invite } from './invitations.js';
import { requireMatch, versioned } from './tags.js';

/**
 * @typedef {import('./world.js').Account} Account
 * @typedef {import('./world.js').Membership} Membership
 * @typedef {import('./world.js').World} World
 * @typedef {import('./api.js').Session} Session
 * @typedef {{
 *   world: World, now: () => number, next: (prefix: string) => string,
 *   sessions: Map<string, Session>,
 *   session: (request: Request) => { token: string, session: Session },
 *   needs: (request: Request, permission: string) => Session,
 *   table: ReturnType<typeof import('./roles.js').table>,
 * }} Server
 * @typedef {(request: Request, url: URL, ...path: string[]) => Promise<Response> | Response} Handler
 */

const PASSWORD = 'kfmtcb-r8wq3n-7hzyxd-p2vjse';

/** @param {Server} server @returns {Record<string, Handler>} */
export function tenants({ world, now, next, needs }) {
  const iso = () => new Date(now()).toISOString();
  /** @param {string} key */
  const registered = (key) => {
    const found = world.tenants.find(({ id, slug }) => id === key || slug === key);
    if (!found) throw missing('tenant-not-found', 'There is no such tenant.');
    return found;
  };

  /** @param {string} verb @param {(state: string) => boolean} from @param {(input: Record<string, any>) => string} to @returns {Handler} */
  const step = (verb, from, to) => async (request, _, key) => {
    needs(request, `tenant.${verb}`);
    const input = await object(request, verb === 'suspend' ? ['cause', 'reason'] : ['reason']);
    text(input.reason, '/reason', 200);
    const tenant = registered(key);
    const state = to(input);
    if (!from(tenant.state) || tenant.state === state) {
      throw new Refused(409, 'tenant-state', `${tenant.slug} is ${tenant.state}: that is what was asked for.`);
    }
    Object.assign(tenant, { state, state_since: iso() });
    world.reasons.push(input.reason);
    return json(tenant);
  };

  /** @param {string} from @param {Record<string, any>} input */
  const fits = (from, { until, limits }) => {
    if (until && Date.parse(until) <= Math.max(now(), Date.parse(from))) throw wrong('/until', 'is not after the beginning and in the future', 'invalid-entitlement');
    for (const [limit, n] of Object.entries(limits ?? {})) {
      if (n === null) continue;
      if (!Number.isInteger(n) || n < 0) throw wrong(`/limits/${limit}`, 'expected u32');
      if (n > 1_000_000) throw wrong(`/limits/${limit}`, 'is above 1000000', 'invalid-entitlement');
    }
  };
  /** @param {string} key @param {string} id */
  const entitled = (key, id) => {
    const found = world.entitlements[registered(key).id]?.find((each) => each.id === id);
    if (!found) throw missing('entitlement-not-found', 'The tenant has no such entitlement, or it has ended.');
    return found;
  };

  return {
    'GET /v1/tenants': (request, url) => {
      needs(request, 'tenant.list');
      const [search, state] = [url.searchParams.get('search')?.toLowerCase() ?? '', url.searchParams.get('state')];
      return list(url, world.tenants.filter((tenant) =>
        `${tenant.slug} ${tenant.name.toLowerCase()}`.includes(search) && (!state || tenant.state.split('(')[0] === state)));
    },
    'GET /v1/tenants/:': (request, _, key) => {
      needs(request, 'tenant.read');
      const tenant = registered(key);
      return versioned(tenant, tenant);
    },
    'PATCH /v1/tenants/:': async (request, _, key) => {
      needs(request, 'tenant.update');
      const { name } = await object(request, ['name']);
      const tenant = registered(key);
      requireMatch(request, tenant);
      if (name !== undefined) tenant.name = text(name, '/name');
      return versioned(tenant, tenant);
    },
    'POST /v1/tenants': async (request) => {
      needs(request, 'tenant.create');
      const input = await object(request, ['slug', 'name', 'admin']);
      const made = { id: next('ten'), slug: slug(input.slug, '/slug'), name: text(input.name, '/name'), state: 'active', state_since: iso(), created_at: iso() };
      const admin = input.admin && { email: email(input.admin.email, '/admin/email'), display_name: text(input.admin.display_name, '/admin/display_name') };
      if (made.slug === 'provider') throw wrong('/slug', 'is reserved', 'reserved-slug', 422, 'This slug is reserved; choose another one.');
      if (world.tenants.some((tenant) => tenant.slug === made.slug)) {
        throw wrong('/slug', 'is or was another tenant’s', 'slug-taken', 409, 'Another tenant has, or had, this slug; choose another one.');
      }
      world.tenants.unshift(made);
      if (!admin) return created(made);
      const known = world.accounts.find((account) => account.email === admin.email);
      const account = known ?? addAccount(world, next('usr'), admin);
      account.memberships.push({ id: next('mem'), tenant: made, roles: ['tenant-admin'], regions: [], created_at: iso() });
      return created({ ...made, admin: { ...brief(account), ...(!known && { initial_password: PASSWORD }) } });
    },
    'POST /v1/tenants/:/suspend': step('suspend', (state) => /^(active|suspended)/.test(state), ({ cause }) => `suspended(${cause})`),
    'POST /v1/tenants/:/resume': step('resume', (state) => state.startsWith('suspended'), () => 'active'),
    'POST /v1/tenants/:/delete': step('delete', (state) => /^(active|suspended\((billing|incident)\))$/.test(state), () => 'deleting'),
    'POST /v1/tenants/:/restore': step('restore', (state) => state === 'deleting', () => 'suspended(hold)'),

    'GET /v1/tenants/:/entitlements': (request, url, key) => {
      needs(request, 'entitlement.list');
      return list(url, world.entitlements[registered(key).id] ?? []);
    },
    'POST /v1/tenants/:/entitlements': async (request, _, key) => {
      needs(request, 'entitlement.grant');
      const tenant = registered(key);
      const input = await object(request, ['region', 'from', 'until', 'limits']);
      const from = input.from ?? iso();
      fits(from, input);
      const region = world.regions.find(({ slug }) => slug === input.region);
      if (!region) throw wrong('/region', 'names no region', 'invalid-entitlement');
      if (region.lifecycle === 'draining') throw wrong('/region', 'is being drained', 'region-draining', 409, 'The region is being drained: nobody new is entitled to it.');
      const all = (world.entitlements[tenant.id] ??= []);
      if (all.some((each) => each.region.slug === region.slug)) {
        throw wrong('/region', 'is one the tenant is entitled to already', 'already-entitled', 409, 'The tenant is entitled to this region already: end that entitlement first.');
      }
      const made = { id: next('ent'), region: { id: region.id, slug: region.slug }, from, until: input.until, limits: input.limits ?? {}, created_at: iso() };
      all.unshift(made);
      return created(made);
    },
    'GET /v1/tenants/:/entitlements/:': (request, _, key, id) => {
      needs(request, 'entitlement.read');
      const found = entitled(key, id);
      return versioned(found, found);
    },
    'PATCH /v1/tenants/:/entitlements/:': async (request, _, key, id) => {
      needs(request, 'entitlement.grant');
      const input = await object(request, ['until', 'limits']);
      const found = entitled(key, id);
      requireMatch(request, found);
      fits(found.from, input);
      if (input.until !== undefined) found.until = input.until;
      found.limits = { ...found.limits, ...input.limits };
      return versioned(found, found);
    },
    'DELETE /v1/tenants/:/entitlements/:': (request, _, key, id) => {
      needs(request, 'entitlement.revoke');
      const all = world.entitlements[registered(key).id] ?? [];
      const at = all.findIndex((each) => each.id === id);
      if (at < 0) throw missing('entitlement-not-found', 'The tenant has no such entitlement, or it has ended.');
      all.splice(at, 1);
      return done();
    },
  };
}

/** @param {Server} server @returns {Record<string, Handler>} */
export function people(server) {
  const { world, now, next, needs, sessions, table } = server;
  const iso = () => new Date(now()).toISOString();
  /** @param {string} tenant */
  const members = (tenant) => world.accounts.flatMap((account) =>
    account.memberships.filter((each) => each.tenant.id === tenant).map((membership) => ({ account, membership })));
  /** @param {{ account: Account, membership: Membership }} each */
  const told = ({ account, membership }) => (
    { id: membership.id, user: brief(account), roles: membership.roles, regions: membership.only, until: membership.until, created_at: membership.created_at }
  );
  /** Those that the session's person may give. @param {Session} session @param {unknown} given */
  const rolesOf = (session, given) => {
    if (!Array.isArray(given)) throw wrong('/roles', 'is missing', 'invalid-membership');
    const held = table.held(world, session);
    given.forEach((name, n) => {
      const role = table.given(world, session.membership?.tenant.id).find((each) => each.name === name && each.scope === 'tenant');
      if (!role) throw wrong(`/roles/${n}`, 'is no role of tenant scope', 'invalid-membership');
      if (!role.permissions.every((each) => held.has(each))) throw new Refused(403, 'role-not-held', `The role ${name} holds more than you do in this tenant.`);
    });
    return given;
  };

  /** @param {Record<string, any>} input */
  const reaches = ({ until, regions }) => {
    if (until && Date.parse(until) <= now()) throw wrong('/until', 'is not in the future', 'invalid-membership');
    if (regions?.length === 0) throw wrong('/regions', 'is empty; leave it out for all regions', 'invalid-membership');
  };
  /** @param {string} tenant @param {string} id */
  const member = (tenant, id) => {
    const found = members(tenant).find(({ membership }) => membership.id === id);
    if (!found) throw missing('membership-not-found', 'The tenant has no such membership, or it has ended.');
    return found;
  };
  /** @param {Session} session @param {string} id */
  const ofUser = ({ membership }, id) => {
    const found = members(membership?.tenant.id ?? '').find(({ account }) => account.id === id);
    if (!found) throw missing('user-not-found', 'The tenant has no such person.');
    return found;
  };
  /** @param {string} tenant @param {Membership} membership */
  const lastAdmin = (tenant, membership) => {
    const admins = members(tenant).filter(({ membership: { roles } }) => roles.includes('tenant-admin'));
    return admins.length === 1 && admins[0]?.membership === membership;
  };
  const lastAdministrator = () => new Refused(409, 'last-administrator', 'This is the tenant’s last administrator: name another one first.');

  return {
    'GET /v1/tenants/:/memberships': (request, url, key) => list(url, members(inForce(needs(request, 'membership.list'), key)).map(told)),
    'POST /v1/tenants/:/memberships': async (request, _, key) => {
      const session = needs(request, 'membership.grant');
      const tenant = inForce(session, key);
      const input = await object(request, ['user_id', 'email', 'roles', 'regions', 'until']);
      const roles = rolesOf(session, input.roles);
      reaches(input);
      const account = world.accounts.find((each) => each.email === email(input.email, '/email'));
      if (!account) throw wrong('/email', 'names nobody who can sign in', 'invalid-membership');
      if (members(tenant).some((each) => each.account === account)) throw new Refused(409, 'already-a-member', 'This person is a member already: end that membership first, or keep it.');
      const membership = { id: next('mem'), tenant: /** @type {Membership} */ (session.membership).tenant, roles, regions: [], only: input.regions, until: input.until, created_at: iso() };
      account.memberships.push(membership);
      return created(told({ account, membership }));
    },
    'GET /v1/tenants/:/memberships/:': (request, _, key, id) => {
      const found = member(inForce(needs(request, 'membership.list'), key), id);
      return versioned(told(found), told(found));
    },
    'PATCH /v1/tenants/:/memberships/:': async (request, _, key, id) => {
      const session = needs(request, 'membership.grant');
      const tenant = inForce(session, key);
      const input = await object(request, ['roles', 'regions', 'until']);
      const found = member(tenant, id);
      requireMatch(request, told(found));
      const { membership } = found;
      const roles = rolesOf(session, input.roles ?? membership.roles);
      reaches(input);
      if (lastAdmin(tenant, membership) && !(roles.includes('tenant-admin') && !input.until)) throw lastAdministrator();
      Object.assign(membership, { roles, ...(input.regions !== undefined && { only: input.regions ?? undefined }), ...(input.until !== undefined && { until: input.until ?? undefined }) });
      return versioned(told(found), told(found));
    },
    'GET /v1/users/:': (request, _, id) => {
      const found = ofUser(needs(request, 'user.read'), id);
      return versioned({ ...brief(found.account), roles: found.membership.roles }, brief(found.account));
    },
    'PATCH /v1/users/:': async (request, _, id) => {
      const session = needs(request, 'user.update');
      const { display_name } = await object(request, ['display_name']);
      const { account, membership } = ofUser(session, id);
      requireMatch(request, brief(account));
      if (display_name !== undefined) {
        const name = text(display_name, '/display_name');
        if (account.memberships.length > 1 || account.system) {
          throw new Refused(409, 'person-of-others', 'This person does not belong to this tenant alone, so it is not this tenant that renames them.');
        }
        account.display_name = name;
      }
      return versioned({ ...brief(account), roles: membership.roles }, brief(account));
    },
    'DELETE /v1/tenants/:/memberships/:': (request, _, key, id) => {
      const tenant = inForce(needs(request, 'membership.revoke'), key);
      const found = member(tenant, id);
      if (lastAdmin(tenant, found.membership)) throw lastAdministrator();
      found.account.memberships.splice(found.account.memberships.indexOf(found.membership), 1);
      for (const [token, each] of sessions) if (each.membership === found.membership) sessions.delete(token);
      return done();
    },
    'POST /v1/users': async (request) => {
      const session = needs(request, 'user.invite');
      const input = await object(request, ['email', 'display_name', 'roles', 'initial_password']);
      const [address, display_name] = [email(input.email, '/email'), text(input.display_name, '/display_name')];
      const roles = rolesOf(session, input.roles);
      if (!input.initial_password) return json(invite(server, session, { email: address, display_name, roles }), {}, 202);
      if (world.accounts.some((account) => account.email === address)) {
        throw wrong('/email', 'belongs to somebody already', 'email-taken', 409, 'Somebody signs in with this address already: grant that person a membership instead.');
      }
      const account = addAccount(world, next('usr'), { email: address, display_name });
      account.memberships.push({ id: next('mem'), tenant: /** @type {Membership} */ (session.membership).tenant, roles, regions: [], created_at: iso() });
      return created({ ...brief(account), roles, initial_password: PASSWORD });
    },
  };
}

/** @param {Server} server @returns {Record<string, Handler>} */
export function sessionsOf({ world, needs, session, sessions, now }) {
  /** @param {Request} request @param {(session: Session) => boolean} which */
  const listed = (request, which) => {
    const mine = session(request).token;
    return [...sessions].filter(([, each]) => which(each) && each.expiresAt > now()).reverse().map(([token, each]) => ({
      id: each.id, kind: each.kind, tenant: each.membership?.tenant.id, amr: each.account.totp ? ['pwd', 'otp', 'mfa'] : ['pwd'],
      created_at: new Date(each.createdAt).toISOString(), expires_at: new Date(each.expiresAt).toISOString(),
      address: each.address, user_agent: each.agent, current: token === mine,
    }));
  };
  /** @param {(session: Session) => boolean} which */
  const end = (which) => {
    const over = [...sessions].filter(([, each]) => which(each));
    for (const [token] of over) sessions.delete(token);
    return over.length;
  };
  /** @param {number} ended */
  const one = (ended) => {
    if (ended === 0) throw missing('session-not-found', 'There is no such session, or it has ended.');
    return done();
  };
  /** @param {Request} request @param {string} permission @param {string} user @returns {(session: Session) => boolean} */
  const inTenant = (request, permission, user) => {
    const tenant = needs(request, permission).membership?.tenant.id;
    const known = world.accounts.some(({ id, memberships }) => id === user && memberships.some((each) => each.tenant.id === tenant));
    if (!known) throw missing('user-not-found', 'The tenant has no such person.');
    return (each) => each.account.id === user && each.membership?.tenant.id === tenant;
  };
  /** @param {Request} request @param {string} permission @param {string} user @returns {(session: Session) => boolean} */
  const anywhere = (request, permission, user) => {
    needs(request, permission);
    return (each) => each.account.id === user;
  };

  /** @param {string} verb @param {string} state @returns {Handler} */
  const standing = (verb, state) => async (request, _, id) => {
    const who = needs(request, `federation_user.${verb}`);
    const { reason } = await object(request, ['reason']);
    text(reason, '/reason', 200);
    const found = world.accounts.find((account) => account.id === id);
    if (!found) throw missing('user-not-found', 'There is no such person.');
    if (found === who.account) throw new Refused(409, 'own-account', 'This is your own account: another administrator of the federation disables it.');
    if ((found.state ?? 'active') === state) throw new Refused(409, 'user-state', `This account is ${state} already.`);
    found.state = state;
    world.reasons.push(reason);
    end((each) => each.account === found);
    return json(brief(found));
  };

  return {
    'GET /v1/me/sessions': (request, url) => list(url, listed(request, ({ account }) => account === session(request).session.account)),
    'DELETE /v1/me/sessions': (request) => {
      const { session: mine } = session(request);
      return json({ ended: end((each) => each.account === mine.account && each !== mine) });
    },
    'DELETE /v1/me/sessions/:': (request, _, id) => {
      const { session: mine } = session(request);
      return one(end((each) => each.account === mine.account && each.id === id));
    },
    'GET /v1/users/:/sessions': (request, url, user) => list(url, listed(request, inTenant(request, 'session.list', user))),
    'DELETE /v1/users/:/sessions': (request, _, user) => json({ ended: end(inTenant(request, 'session.revoke', user)) }),
    'DELETE /v1/users/:/sessions/:': (request, _, user, id) => {
      const theirs = inTenant(request, 'session.revoke', user);
      return one(end((each) => theirs(each) && each.id === id));
    },
    'POST /v1/federation-users/find': async (request) => {
      needs(request, 'federation_user.read');
      const address = email((await object(request, ['email'])).email, '/email');
      const found = world.accounts.find((account) => account.email === address);
      if (!found) throw missing('user-not-found', 'There is no such person.');
      return json(brief(found));
    },
    'POST /v1/federation-users/:/disable': standing('disable', 'disabled'),
    'POST /v1/federation-users/:/enable': standing('enable', 'active'),
    'GET /v1/federation-users/:/sessions': (request, url, user) => list(url, listed(request, anywhere(request, 'federation_session.list', user))),
    'DELETE /v1/federation-users/:/sessions': (request, _, user) => json({ ended: end(anywhere(request, 'federation_session.revoke', user)) }),
    'DELETE /v1/federation-users/:/sessions/:': (request, _, user, id) => {
      const theirs = anywhere(request, 'federation_session.revoke', user);
      return one(end((each) => theirs(each) && each.id === id));
    },
  };
}

/** @param {World} world @param {string} id @param {{ email: string, display_name: string }} person @returns {Account} */
function addAccount(world, id, { email, display_name }) {
  /** @type {Account} */
  const account = { id, email, display_name, password: PASSWORD, mustChange: true, memberships: [] };
  world.accounts.push(account);
  return account;
}

/** The tenant in force, if it is the one that is named. @param {Session} session @param {string} key */
export function inForce({ membership }, key) {
  const tenant = membership?.tenant;
  if (!tenant || (tenant.id !== key && tenant.slug !== key)) throw missing('tenant-not-found', 'There is no such tenant.');
  return tenant.id;
}

/** @param {Account} account */
export const brief = ({ id, email, display_name, state = 'active' }) => ({ id, email, display_name, state });
