// The routes of API keys.
import { created, done, json, list, missing, object, Refused, text, wrong } from './http.js';
import { brief } from './rooms.js';

const SECRET = 'exk_7hzyxd-p2vjse-kfmtcb-r8wq3n';

/** @param {import('./rooms.js').Server} server @returns {Record<string, import('./rooms.js').Handler>} */
export function keys({ world, now, next, needs, table }) {
  const iso = (/** @type {number} */ ms = 0) => new Date(now() + ms).toISOString();
  /** @param {import('./rooms.js').Session} session */
  const of = ({ membership }) => (world.keys[membership?.tenant.id ?? ''] ??= []);
  /** @param {import('./rooms.js').Session} session @param {string} id */
  const one = (session, id) => {
    const found = of(session).find((key) => key.id === id);
    if (!found) throw missing('api-key-not-found', 'The tenant has no such API key, or it was revoked.');
    return found;
  };
  return {
    'GET /v1/api-keys': (request, url) => list(url, of(needs(request, 'api_key.list'))),
    'POST /v1/api-keys': async (request) => {
      const session = needs(request, 'api_key.create');
      const input = await object(request, ['name', 'kind', 'region', 'role', 'cidrs', 'expires_at']);
      const name = text(input.name, '/name');
      const role = table.given(world, session.membership?.tenant.id).find((each) => each.name === input.role && each.scope === 'tenant');
      if (!role) throw wrong('/role', 'is no role of tenant scope', 'invalid-api-key');
      const held = table.held(world, session);
      if (!role.permissions.every((each) => held.has(each))) throw new Refused(403, 'role-not-held', `The role ${role.name} holds more than you do in this tenant.`);
      const bad = (input.cidrs ?? []).findIndex((/** @type {string} */ each) => !/^[0-9a-f.:]+\/\d+$/.test(each));
      if (bad >= 0) throw wrong(`/cidrs/${bad}`, 'is no range of addresses', 'invalid-api-key');
      const region = world.regions.find(({ slug }) => slug === input.region);
      if ((input.kind === 'regional') !== Boolean(region)) throw wrong('/region', 'is needed for a regional key and for no other', 'invalid-api-key');
      if (of(session).some((key) => key.name === name)) throw wrong('/name', 'is another key’s', 'api-key-exists', 409, 'There is a key of this name: choose another one.');
      /** @type {import('./world.js').ApiKey} */
      const made = {
        id: next('key'), name, kind: input.kind, region: region && { id: region.id, slug: region.slug }, state: 'active', role: role.name, cidrs: input.cidrs ?? [],
        expires_at: input.expires_at, secret_since: iso(), created_at: iso(), owner: { membership_id: session.membership?.id ?? '', user: brief(session.account) },
      };
      of(session).unshift(made);
      return created({ ...made, secret: SECRET });
    },
    'POST /v1/api-keys/:/rotate': async (request, _, id) => {
      const found = one(needs(request, 'api_key.rotate'), id);
      const { overlap_seconds = 86_400 } = await object(request, ['overlap_seconds']);
      Object.assign(found, { secret_since: iso(), previous_secret_until: overlap_seconds > 0 ? iso(overlap_seconds * 1000) : undefined });
      return json({ ...found, secret: `${SECRET}-2` });
    },
    'POST /v1/api-keys/:/revoke': async (request, _, id) => {
      const session = needs(request, 'api_key.revoke');
      world.reasons.push(text((await object(request, ['reason'])).reason, '/reason', 200));
      const all = of(session);
      all.splice(all.indexOf(one(session, id)), 1);
      return done();
    },
  };
}
