// The routes by which somebody signed in changes the own password and second factor.
import { body, created, done, json, Refused, wrong } from './http.js';
import { asked } from './settings.js';

/** @typedef {import('./rooms.js').Server} Server */

/** What an app is enrolled with, and the code that it shows first. */
export const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
export const FIRST_CODE = '161803';

export const tenCodes = () => Array.from({ length: 10 }, (_, n) => `code-numb-er${n}${n}-here`);

/** @param {Server} server @returns {Record<string, import('./rooms.js').Handler>} */
export function account({ session, sessions, world }) {
  /** @param {import('./world.js').Account} person @param {{ password?: string, totp?: string }} given */
  const confirmed = (person, { password, totp }) => {
    if (person.totp && totp === undefined) throw wrong('/totp', 'is missing', 'code-missing', 422, 'Your account has a second factor: give a code of it too.');
    const spare = person.recovery?.indexOf(totp ?? '') ?? -1;
    if (person.password !== password || (person.totp && person.totp !== totp && spare < 0)) {
      throw new Refused(401, 'not-confirmed', 'The password or the code is not right: nothing was changed.');
    }
    if (spare >= 0) person.recovery?.splice(spare, 1);
  };
  /** @param {string} reason */
  const weak = (reason) => wrong('/new_password', reason, 'weak-password', 422, `The new password ${reason}: choose another one.`);
  return {
    'POST /v1/me/password': async (request) => {
      const { token, session: { account: person } } = session(request);
      const { new_password, ...given } = await body(request, ['password', 'new_password'], ['totp']);
      confirmed(person, given);
      const least = asked(world, person) ? 12 : 15;
      if (new_password.length < least) throw weak(`has fewer than ${least} characters`);
      if (new_password === person.password) throw weak('is the present one');
      person.password = new_password;
      for (const [each, of] of sessions) if (of.account === person && each !== token) sessions.delete(each);
      return done();
    },
    'GET /v1/me/second-factor': (request) => {
      const { account: person } = session(request).session;
      return json({ totp_since: person.totp && person.totpSince, recovery_codes_left: person.recovery?.length ?? 0, required: Boolean(person.system) || asked(world, person) });
    },
    'POST /v1/me/totp': async (request) => {
      const { account: person } = session(request).session;
      confirmed(person, await body(request, ['password'], ['totp']));
      return created({ id: 'enrolment', secret: SECRET, uri: `otpauth://totp/Exarch:x?secret=${SECRET}` });
    },
    'POST /v1/me/totp/:/verify': async (request) => {
      const { account: person } = session(request).session;
      if ((await body(request, ['totp'])).totp !== FIRST_CODE) throw new Refused(401, 'code-refused', 'The code is not right or was used before: enter the one shown now.');
      Object.assign(person, { totp: FIRST_CODE, totpSince: new Date().toISOString(), recovery: tenCodes() });
      return json({ recovery_codes: person.recovery ?? [] });
    },
    'POST /v1/me/totp/remove': async (request) => {
      const { account: person } = session(request).session;
      if (person.system || asked(world, person)) throw new Refused(409, 'second-factor-required', 'Your role needs a second factor.');
      confirmed(person, await body(request, ['password'], ['totp']));
      delete person.totp;
      delete person.recovery;
      return done();
    },
    'POST /v1/me/recovery-codes': async (request) => {
      const { account: person } = session(request).session;
      if (!person.totp) throw new Refused(409, 'no-second-factor', 'Your account has no second factor: enrol one first.');
      if ((await body(request, ['totp'])).totp !== person.totp) throw new Refused(401, 'not-confirmed', 'The password or the code is not right: nothing was changed.');
      person.recovery = tenCodes();
      return json({ recovery_codes: person.recovery });
    },
  };
}
