// The people and regions the mock knows. Each account stands for a case the pages have to get right.

/**
 * @typedef {import('../src/api/types').TenantName} TenantName
 * @typedef {import('../src/api/types').Region} Region
 * @typedef {{ tenant: TenantName, roles: string[], regions: string[] }} Membership
 * @typedef {{ id: string, email: string, password: string, memberships: Membership[], system?: string[], totp?: string, recovery?: string[], mustEnrol?: boolean, mustChange?: boolean }} Account
 * @typedef {{ code: string, address: string, user_agent: string, asked_at: string, expires_at: string, answer?: string }} Device
 * @typedef {{ accounts: Account[], regions: Region[], devices: Device[] }} World
 */

export const PASSWORD = 'correct horse battery';

/** @type {(n: number, slug: string, name: string) => TenantName} */
const tenant = (n, slug, name) => ({ id: `ten_0197000000007000800000000000000${n}`, slug, name });

export const acme = tenant(1, 'acme', 'Acme Logistics');
export const globex = tenant(2, 'globex', 'Globex');
export const provider = tenant(3, 'provider', 'Provider');

/** @type {(slug: string, name: string, host?: string) => Pick<Region, 'id' | 'slug' | 'name' | 'url' | 'console_url'>} */
const named = (slug, name, host = `${slug}.localhost:9440`) => ({
  id: `reg_${slug}`,
  slug,
  name,
  url: `http://${host}`,
  console_url: `http://${host}/`,
});

/** @returns {World} a fresh copy at the time `now` (ms), so that a test may change it */
export function world(now = Date.now()) {
  /** @param {number} seconds */
  const before = (seconds) => new Date(now - seconds * 1000).toISOString();
  return {
    devices: ['BCDF-GHJK', 'LMNP-QRST'].map((code) => (
      { code, address: '203.0.113.7', user_agent: 'exarch/0.1.0', asked_at: before(20), expires_at: before(-580) }
    )),
    regions: [
      {
        ...named('eu-north', 'EU North'),
        lifecycle: 'active', health: 'healthy', last_probe_at: before(8), latency_ms: 14, software_version: '0.1.0',
        passport: { generation: 1, version: 212, acknowledged: 212, age_seconds: 9 }, skew_ms: 12,
      },
      {
        ...named('us-east', 'US East'),
        lifecycle: 'active', health: 'degraded', last_probe_at: before(21), latency_ms: 96, software_version: '0.1.0',
        passport: { generation: 1, version: 208, acknowledged: 207, age_seconds: 22 }, skew_ms: -40,
        reason: 'The region’s database answers slowly.',
      },
      {
        ...named('ap-south', 'AP South'),
        lifecycle: 'active', health: 'unreachable', last_probe_at: before(5 * 3600 + 60), latency_ms: 181, software_version: '0.0.9',
        passport: { generation: 1, version: 198, acknowledged: 190, age_seconds: 18_060 },
        reason: 'No answer to the last 600 probes.',
      },
      { ...named('sa-east', 'SA East'), lifecycle: 'joining', health: 'unknown' },
      {
        ...named('eu-west', 'EU West'),
        lifecycle: 'draining', health: 'healthy', last_probe_at: before(3), latency_ms: 22, software_version: '0.1.0',
        passport: { generation: 1, version: 77, acknowledged: 77, age_seconds: 4 },
      },
    ],
    accounts: [
      {
        id: 'usr_ada', email: 'ada@acme.example', password: PASSWORD,
        memberships: [{ tenant: acme, roles: ['tenant-admin'], regions: ['eu-north', 'us-east'] }],
      },
      {
        id: 'usr_ben', email: 'ben@globex.example', password: PASSWORD,
        memberships: [{ tenant: globex, roles: ['read-only'], regions: ['eu-north'] }],
      },
      {
        id: 'usr_cleo', email: 'cleo@acme.example', password: PASSWORD,
        memberships: [
          { tenant: acme, roles: ['cluster-operator'], regions: ['eu-north', 'us-east', 'ap-south', 'sa-east'] },
          { tenant: globex, roles: ['auditor'], regions: ['eu-west'] },
        ],
      },
      {
        id: 'usr_dora', email: 'dora@provider.example', password: PASSWORD, system: ['system-admin'], totp: '271828', recovery: ['abcd-efgh-jkmn-pqrs'],
        memberships: [{ tenant: provider, roles: ['tenant-admin'], regions: ['eu-north'] }],
      },
      { id: 'usr_eli', email: 'eli@provider.example', password: PASSWORD, system: ['provider-operator'], memberships: [] },
      { id: 'usr_hal', email: 'hal@provider.example', password: PASSWORD, system: ['provider-operator'], mustEnrol: true, memberships: [] },
      { id: 'usr_finn', email: 'finn@nowhere.example', password: PASSWORD, memberships: [] },
      {
        id: 'usr_gus', email: 'gus@acme.example', password: PASSWORD, mustChange: true,
        memberships: [{ tenant: acme, roles: ['read-only'], regions: [] }],
      },
    ],
  };
}
