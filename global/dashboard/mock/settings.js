// The routes of what a tenant decides for its people.
import { object, Refused, wrong } from './http.js';
import { inForce } from './rooms.js';
import { requireMatch, versioned } from './tags.js';

/** @typedef {import('./world.js').World} World */

/** Whether a tenant of theirs asks for a second factor. @param {World} world @param {import('./world.js').Account} account */
export const asked = (world, { memberships }) => memberships.some(({ tenant }) => world.settings[tenant.id]?.second_factor === 'required');

/** @param {import('./rooms.js').Server} server @returns {Record<string, import('./rooms.js').Handler>} */
export function settings({ world, needs, sessions }) {
  /** @param {string} tenant */
  const of = (tenant) => (world.settings[tenant] ??= { second_factor: 'optional' });
  return {
    'GET /v1/tenants/:/settings': (request, _, key) => {
      const found = of(inForce(needs(request, 'settings.read'), key));
      return versioned(found, found);
    },
    'PATCH /v1/tenants/:/settings': async (request, _, key) => {
      const session = needs(request, 'settings.update');
      const tenant = inForce(session, key);
      requireMatch(request, of(tenant));
      const { second_factor } = await object(request, ['second_factor']);
      if (second_factor !== 'optional' && second_factor !== 'required') throw wrong('/second_factor', 'expected optional or required');
      if (second_factor === 'required' && !session.account.totp) {
        throw new Refused(409, 'second-factor-missing', 'Enrol a second factor of your own and sign in with it, before you ask others for one.');
      }
      Object.assign(of(tenant), { second_factor });
      for (const [token, each] of sessions) {
        if (second_factor === 'required' && each.membership?.tenant.id === tenant && !each.account.totp) sessions.delete(token);
      }
      return versioned(of(tenant), of(tenant));
    },
  };
}
