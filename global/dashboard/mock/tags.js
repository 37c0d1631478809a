// Versions of what can be edited. Here a version is what the thing says: whoever changes it, by whatever way, makes another one.
import { createHash } from 'node:crypto';
import { json, Refused } from './http.js';

/** @param {unknown} edited what of a thing is edited */
const tagOf = (edited) => `"${createHash('sha256').update(JSON.stringify(edited ?? null)).digest('hex').slice(0, 12)}"`;

/** @param {object} shown @param {unknown} edited */
export const versioned = (shown, edited) => json(shown, { etag: tagOf(edited) });

/** Refuses a change of another version than is there. @param {Request} request @param {unknown} edited */
export function requireMatch(request, edited) {
  const given = request.headers.get('if-match');
  if (given === null) throw new Refused(428, 'precondition-required', 'Say by If-Match which version you change.');
  if (given !== '*' && given !== tagOf(edited)) throw new Refused(412, 'precondition-failed', 'It was changed meanwhile: read it again.');
}
