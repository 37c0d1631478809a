// The routes of the registry of regions.
import { created, json, list, missing, object, Refused, slug, text, wrong } from './http.js';
import { requireMatch, versioned } from './tags.js';

/** @typedef {import('./rooms.js').Server} Server */

/** What leads from one stage of a region's life to the next, from where, and the permission for it. */
const steps = {
  drain: { from: ['active'], to: 'draining', needs: 'region.drain' },
  resume: { from: ['draining'], to: 'active', needs: 'region.drain' },
  remove: { from: ['registered', 'joining', 'draining'], to: 'removed', needs: 'region.remove' },
};

/** @param {Server} server @returns {Record<string, import('./rooms.js').Handler>} */
export function regions({ world, now, next, needs }) {
  /** @param {string} key */
  const named = (key) => {
    const found = world.regions.find(({ slug }) => slug === key);
    if (!found) throw missing('region-not-found', 'There is no such region.');
    return found;
  };
  const joinToken = () => ({
    token: next('exj'), expires_at: new Date(now() + 15 * 60_000).toISOString(),
    line: 'exarch-gateway join --global https://global.example:8441 --ca-pin sha256:2f1c7e --token-file -',
  });
  /** @param {unknown} given @param {string} pointer */
  const origin = (given, pointer) => {
    if (!/^https?:\/\/[^/@?#\s]+$/.test(String(given))) throw wrong(pointer, 'must be https:// or http:// with a host, without a path, a password or a slash at the end');
    return String(given);
  };
  /** @param {import('../src/api/types').Region} region */
  const registered = ({ name, url, console_url, lifecycle }) => ({ name, url, console_url, lifecycle });
  /** @param {keyof typeof steps} name @returns {import('./rooms.js').Handler} */
  const step = (name) => async (request, _, key) => {
    const { from, to, needs: permission } = steps[name];
    needs(request, permission);
    const { reason } = await object(request, ['reason']);
    text(reason, '/reason', 200);
    const region = named(key);
    if (!from.includes(region.lifecycle)) throw new Refused(409, 'region-state', `${key} is ${region.lifecycle}: that is what was asked for.`);
    const entitled = Object.values(world.entitlements).filter((each) => each.some(({ region: { slug } }) => slug === key)).length;
    if (name === 'remove' && entitled > 0) {
      throw new Refused(409, 'region-entitled', `${entitled} ${entitled === 1 ? 'tenant is' : 'tenants are'} entitled to ${key}: end the entitlements first.`);
    }
    region.lifecycle = to;
    world.reasons.push(reason);
    return json(region);
  };
  const seconds = { hour: 30, day: 720, week: 5040, month: 21_600 };

  return {
    'GET /v1/regions': (request, url) => {
      needs(request, 'region.list');
      return list(url, world.regions);
    },
    'GET /v1/regions/:': (request, _, key) => {
      needs(request, 'region.read');
      const region = named(key);
      return versioned(region, registered(region));
    },
    'PATCH /v1/regions/:': async (request, _, key) => {
      needs(request, 'region.update');
      const input = await object(request, ['name', 'url', 'console_url']);
      const region = named(key);
      requireMatch(request, registered(region));
      const name = input.name === undefined ? region.name : text(input.name, '/name', 200);
      const place = input.url === undefined ? region.url : origin(input.url, '/url');
      // none is told as where the region is
      const before = region.console_url === region.url ? place : region.console_url;
      const console_url = input.console_url === undefined ? before : input.console_url === null ? place : origin(input.console_url, '/console_url');
      Object.assign(region, { name, url: place, console_url });
      return versioned(region, registered(region));
    },
    'POST /v1/regions': async (request) => {
      needs(request, 'region.register');
      const input = await object(request, ['slug', 'name', 'url', 'console_url']);
      const region = { id: next('reg'), slug: slug(input.slug, '/slug'), name: text(input.name, '/name', 200), url: origin(input.url, '/url'), console_url: input.console_url === undefined ? input.url : origin(input.console_url, '/console_url'), lifecycle: 'registered', health: 'unknown' };
      if (world.regions.some((each) => each.slug === region.slug)) {
        throw wrong('/slug', 'is or was another region’s', 'region-slug-taken', 409, `${region.slug} is the slug of a region, or was; slugs are never used again.`);
      }
      world.regions.push(region);
      return created({ region, join_token: joinToken() });
    },
    'POST /v1/regions/:/drain': step('drain'),
    'POST /v1/regions/:/resume': step('resume'),
    'POST /v1/regions/:/remove': step('remove'),
    'POST /v1/regions/:/join-token': (request, _, key) => {
      needs(request, 'region.register');
      const region = named(key);
      if (region.lifecycle !== 'registered') throw new Refused(409, 'region-already-joined', `The region ${key} is ${region.lifecycle}: only a registered one waits for a gateway.`);
      return created(joinToken());
    },
    'GET /v1/regions/:/probes': (request, url, key) => {
      needs(request, 'region.read');
      return list(url, world.probes[named(key).slug] ?? []);
    },
    'GET /v1/regions/:/probes/summary': (request, url, key) => {
      needs(request, 'region.read');
      const probes = world.probes[named(key).slug] ?? [];
      const step = seconds[/** @type {keyof typeof seconds} */ (url.searchParams.get('range') ?? 'day')];
      if (!step) throw new Refused(400, 'malformed-query', 'A parameter of the query cannot be accepted; see errors.');
      const until = (Math.floor(now() / 1000 / step) + 1) * step * 1000;
      const from = until - 120 * step * 1000;
      /** @type {Map<number, { at: string, good: number, failing: number, missed: number, latency_ms?: number, latency_most_ms?: number }>} */
      const slots = new Map();
      for (const { at, outcome, latency_ms } of [...probes].reverse()) {
        const n = Math.floor((Date.parse(at) - from) / 1000 / step);
        if (n < 0 || n >= 120) continue;
        const slot = slots.get(n) ?? { at: new Date(from + n * step * 1000).toISOString(), good: 0, failing: 0, missed: 0 };
        slot[/** @type {'good'} */ (outcome)] += 1;
        if (latency_ms != null) Object.assign(slot, { latency_ms: slot.latency_ms ?? latency_ms, latency_most_ms: Math.max(slot.latency_most_ms ?? 0, latency_ms) });
        slots.set(n, slot);
      }
      return json({ from: new Date(from).toISOString(), until: new Date(until).toISOString(), slot_seconds: step, slots: [...slots].sort(([a], [b]) => a - b).map(([, slot]) => slot) });
    },
  };
}
