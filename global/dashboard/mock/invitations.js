// The routes of invitations that nobody has accepted yet.
import { done, json, list, missing, Refused } from './http.js';
import { brief } from './rooms.js';

/**
 * @typedef {import('./rooms.js').Server} Server
 * @typedef {import('./rooms.js').Session} Session
 */

const LIFE_MS = 86_400_000;

/** @param {Server} server */
function requireMail({ world }) {
  if (!world.mail) throw new Refused(409, 'no-mail', 'This installation sends no mail: ask your administrator instead.');
}

/** @param {Server} server @param {import('./world.js').Invitation} invitation */
const told = ({ world, now }, { tenant: _, by, ...invitation }) => {
  const inviter = world.accounts.find(({ id }) => id === by);
  return { ...invitation, state: Date.parse(invitation.expires_at) > now() ? 'pending' : 'expired', invited_by: inviter && brief(inviter) };
};

/**
 * In the place of one that waits for the same address.
 * @param {Server} server @param {Session} session @param {{ email: string, display_name: string, roles: string[] }} whom
 */
export function invite(server, { account, membership }, whom) {
  requireMail(server);
  const { world, now, next } = server;
  const tenant = membership?.tenant.id ?? '';
  const made = { ...whom, id: next('inv'), tenant, by: account.id, created_at: new Date(now()).toISOString(), expires_at: new Date(now() + LIFE_MS).toISOString() };
  world.invitations = [made, ...world.invitations.filter((each) => each.tenant !== tenant || each.email !== whom.email)];
  return told(server, made);
}

/** @param {Server} server @returns {Record<string, import('./rooms.js').Handler>} */
export function invitations(server) {
  const { world, now, needs } = server;
  /** @param {Session} session @param {string} id */
  const one = ({ membership }, id) => {
    const found = world.invitations.find((each) => each.id === id && each.tenant === membership?.tenant.id);
    if (!found) throw missing('invitation-not-found', 'The tenant has no such invitation, or it was accepted or cancelled.');
    return found;
  };
  return {
    'GET /v1/invitations': (request, url) => {
      const { membership } = needs(request, 'user.list');
      return list(url, world.invitations.filter(({ tenant }) => tenant === membership?.tenant.id).map((each) => told(server, each)));
    },
    'DELETE /v1/invitations/:': (request, _, id) => {
      const found = one(needs(request, 'user.invite'), id);
      world.invitations = world.invitations.filter((each) => each !== found);
      return done();
    },
    'POST /v1/invitations/:/resend': (request, _, id) => {
      const session = needs(request, 'user.invite');
      needs(request, 'membership.grant');
      requireMail(server);
      const found = one(session, id);
      Object.assign(found, { by: session.account.id, expires_at: new Date(now() + LIFE_MS).toISOString() });
      return json(told(server, found));
    },
  };
}
