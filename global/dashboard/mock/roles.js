// Roles and what they hold: the presets are read from the server's own golden table, so that the mock refuses what the server
// refuses; sentences from the table of permissions itself.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { created, done, json, list, missing, object, Refused, slug, text, wrong } from './http.js';
import { requireMatch, versioned } from './tags.js';

/**
 * @typedef {import('./world.js').OwnRole} OwnRole
 * @typedef {import('./world.js').World} World
 * @typedef {import('./api.js').Session} Session
 */

const AUTHZ = join(import.meta.dirname, '../../../common/authz');

/** @returns {Map<string, Set<string>>} permissions by preset */
export function roles() {
  const [head = '', ...rows] = readFileSync(join(AUTHZ, 'rbac.txt'), 'utf8').trim().split('\n');
  const [, , ...names] = head.split(/\s+/);
  const table = new Map(names.map((name) => [name, new Set()]));
  for (const row of rows) {
    const [permission = '', , ...marks] = row.split(/\s+/);
    marks.forEach((mark, n) => mark === 'x' && table.get(names[n] ?? '')?.add(permission));
  }
  return table;
}

/** Every permission there is, in the order of the table. */
export function catalogue() {
  const source = readFileSync(join(AUTHZ, 'src/permission.rs'), 'utf8');
  return [...source.matchAll(/^ {4}(\w+) in (\w+) \{([^}]*)\}/gm)].flatMap(([, noun, scope = '', actions = '']) =>
    [...actions.matchAll(/(\w+) \w+ (\w+) "([^"]*)";/g)].map(([, action, access = '', sentence = '']) => (
      { name: `${noun}.${action}`, scope: scope.toLowerCase(), access: access.toLowerCase(), sentence }
    )));
}

/** What a role of each scope may hold at most. @type {Record<string, string[]>} */
const COVERS = { tenant: ['tenant', 'cluster'], cluster: ['cluster'] };
const MOST = 200;

const presets = [
  ['tenant-admin', 'tenant', 'Administers the tenant: its people, roles, settings and everything in its clusters.'],
  ['security-analyst', 'tenant', 'Sees the fleet and works on findings and assets.'],
  ['auditor', 'tenant', 'Sees the fleet and reads the audit log.'],
  ['read-only', 'tenant', 'Sees the fleet.'],
  ['cluster-admin', 'cluster', 'Manages one cluster and everything in it.'],
  ['cluster-operator', 'cluster', 'Runs the workloads of one cluster.'],
].map(([name = '', scope = '', description = '']) => ({ name, kind: 'preset', scope, description }));

/** The tables are read once for each mock. */
export function table() {
  const [byRole, all] = [roles(), catalogue()];
  /** The tenant's own, then the presets. @param {World} world @param {string | undefined} tenant */
  const given = (world, tenant) => [
    ...(world.roles[tenant ?? ''] ?? []).map((role) => ({ ...role, kind: 'custom' })),
    ...presets.map((role) => ({ ...role, permissions: all.map(({ name }) => name).filter((name) => byRole.get(role.name)?.has(name)) })),
  ];
  /** @param {World} world @param {Pick<Session, 'account' | 'membership'>} session @returns {Set<string>} */
  const held = (world, { account, membership }) => {
    const inTenant = given(world, membership?.tenant.id).filter(({ name, scope }) => scope === 'tenant' && membership?.roles.includes(name));
    return new Set([...(account.system ?? []).flatMap((role) => [...(byRole.get(role) ?? [])]), ...inTenant.flatMap(({ permissions }) => permissions)]);
  };
  return { all, given, held };
}

/** @param {import('./rooms.js').Server} server @returns {Record<string, import('./rooms.js').Handler>} */
export function rolesOf({ world, now, next, needs, session, table: { all, given, held } }) {
  /** @param {Session} session */
  const tenantOf = ({ membership }) => {
    if (!membership) throw new Refused(403, 'no-tenant', 'No tenant is in force.');
    return membership.tenant.id;
  };
  /** @param {string} tenant @param {string} name @returns {OwnRole} */
  const own = (tenant, name) => {
    const found = world.roles[tenant]?.find((role) => role.name === name);
    if (found) return found;
    if (presets.some((role) => role.name === name)) throw new Refused(409, 'role-preset', 'This role is the same for every tenant: make one of your own instead.');
    throw missing('role-not-found', 'The tenant has no role of this name.');
  };
  /** @param {unknown} asked @param {string} scope @param {Set<string>} mine @returns {string[]} */
  const holdable = (asked, scope, mine) => {
    if (!Array.isArray(asked) || asked.length === 0) throw wrong('/permissions', 'is empty', 'invalid-role');
    asked.forEach((name, n) => {
      const entry = all.find((each) => each.name === name);
      if (!entry) throw wrong(`/permissions/${n}`, 'is no permission; see /v1/permissions', 'invalid-role');
      if (!COVERS[scope]?.includes(entry.scope)) throw wrong(`/permissions/${n}`, `cannot be held by a role of ${scope} scope`, 'invalid-role');
      if (!mine.has(name)) throw new Refused(403, 'permission-not-held', `You do not hold ${name} in this tenant, so you cannot give it.`);
    });
    return all.map(({ name }) => name).filter((name) => asked.includes(name));
  };
  /** @param {OwnRole} role */
  const told = (role) => ({ ...role, kind: 'custom' });

  return {
    'GET /v1/permissions': (request) => {
      const mine = held(world, session(request).session);
      return json({ items: all.map((entry) => ({ ...entry, held: mine.has(entry.name) })) });
    },
    'GET /v1/roles': (request, url) => list(url, given(world, tenantOf(needs(request, 'role.list')))),
    'GET /v1/roles/:': (request, _, name) => {
      const found = given(world, tenantOf(needs(request, 'role.read'))).find((role) => role.name === name);
      if (!found) throw missing('role-not-found', 'The tenant has no role of this name.');
      return versioned(found, found);
    },
    'POST /v1/roles': async (request) => {
      const who = needs(request, 'role.create');
      const tenant = tenantOf(who);
      const input = await object(request, ['name', 'scope', 'description', 'permissions']);
      const { scope = 'tenant' } = input;
      const name = slug(input.name, '/name');
      const permissions = holdable(input.permissions, scope, held(world, who));
      if (given(world, tenant).some((role) => role.name === name)) throw new Refused(409, 'role-exists', 'There is a role of this name: choose another one.');
      const mine = (world.roles[tenant] ??= []);
      if (mine.length >= MOST) throw new Refused(409, 'too-many-roles', `A tenant has at most ${MOST} roles of its own.`);
      const description = input.description === undefined ? '' : text(input.description, '/description', 500);
      const made = { id: next('rol'), name, scope, description, permissions, created_at: new Date(now()).toISOString() };
      mine.unshift(made);
      return created(told(made));
    },
    'PATCH /v1/roles/:': async (request, _, name) => {
      const who = needs(request, 'role.update');
      const role = own(tenantOf(who), name);
      const input = await object(request, ['description', 'permissions']);
      requireMatch(request, told(role));
      const mine = held(world, who);
      const lacking = role.permissions.find((each) => !mine.has(each));
      if (lacking) throw new Refused(403, 'permission-not-held', `This role holds ${lacking}, which you do not hold in this tenant.`);
      if (input.permissions !== undefined) role.permissions = holdable(input.permissions, role.scope, mine);
      if (input.description !== undefined) role.description = input.description === null ? '' : text(input.description, '/description', 500);
      return versioned(told(role), told(role));
    },
    'DELETE /v1/roles/:': (request, _, name) => {
      const tenant = tenantOf(needs(request, 'role.delete'));
      const role = own(tenant, name);
      const uses = world.accounts.flatMap(({ memberships }) => memberships).filter((each) => each.tenant.id === tenant && each.roles.includes(name)).length
        + world.invitations.filter((each) => each.tenant === tenant && each.roles.includes(name)).length;
      if (uses > 0) throw new Refused(409, 'role-in-use', `This role is given by ${uses} memberships or invitations: take it away there first.`);
      world.roles[tenant] = (world.roles[tenant] ?? []).filter((each) => each !== role);
      return done();
    },
  };
}
