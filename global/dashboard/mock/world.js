// The people and regions the mock knows. Each account stands for a case the pages have to get right.

/**
 * @typedef {import('../src/api/types').TenantName} TenantName
 * @typedef {import('../src/api/types').Region} Region
 * @typedef {import('../src/api/types').Tenant} Tenant
 * @typedef {import('../src/api/types').Entitlement} Entitlement
 * @typedef {import('../src/api/types').Probe} Probe
 * @typedef {{ id: string, tenant: TenantName, roles: string[], regions: string[], only?: string[], until?: string, created_at: string }} Membership
 * @typedef {{ id: string, email: string, display_name: string, state?: string, password: string, memberships: Membership[], system?: string[], totp?: string, totpSince?: string, recovery?: string[], mustEnrol?: boolean, mustChange?: boolean }} Account
 * @typedef {{ code: string, address: string, user_agent: string, asked_at: string, expires_at: string, answer?: string }} Device
 * @typedef {{ id: string, tenant: string, email: string, display_name: string, roles: string[], by: string, created_at: string, expires_at: string }} Invitation
 * @typedef {{ id: string, name: string, scope: string, description: string, permissions: string[], created_at: string }} OwnRole
 * @typedef {import('../src/api/types').ApiKey} ApiKey
 * @typedef {{ email: string, tenant?: string, kind: string, createdAt: number, expiresAt: number, address?: string, agent?: string }} Elsewhere
 * @typedef {{
 *   accounts: Account[], regions: Region[], devices: Device[], tenants: Tenant[], entitlements: Record<string, Entitlement[]>,
 *   probes: Record<string, Probe[]>, sessions: Elsewhere[], reasons: string[],
 *   invitations: Invitation[], roles: Record<string, OwnRole[]>, keys: Record<string, ApiKey[]>, settings: Record<string, { second_factor: 'optional' | 'required' }>, mail: boolean,
 * }} World
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
  let memberships = 0;
  /** @type {(tenant: TenantName, roles: string[], regions: string[], more?: Partial<Membership>) => Membership} */
  const member = (tenant, roles, regions, more) => (
    { id: `mem_${++memberships}`, tenant, roles, regions, created_at: before(86_400 * (20 + memberships)), ...more }
  );
  /** @type {(tenant: TenantName, state: string, days: number) => Tenant} */
  const registered = (tenant, state, days) => ({ ...tenant, state, state_since: before(days * 3_600), created_at: before(days * 86_400) });
  /** @type {(n: number, region: string, limits: Entitlement['limits'], more?: Partial<Entitlement>) => Entitlement} */
  const entitled = (n, region, limits, more) => (
    { id: `ent_${n}`, region: { id: `reg_${region}`, slug: region }, from: before(86_400 * 30), limits, created_at: before(86_400 * 30), ...more }
  );
  return {
    reasons: [],
    mail: true,
    settings: {},
    keys: {
      [acme.id]: [
        {
          id: 'key_2', name: 'Release pipeline', kind: 'federated', state: 'active', role: 'release-crew', cidrs: ['192.0.2.0/24'], last_used_on: before(86_400).slice(0, 10),
          secret_since: before(12 * 86_400), created_at: before(40 * 86_400), expires_at: before(-50 * 86_400),
          owner: { membership_id: 'mem_1', user: { id: 'usr_ada', email: 'ada@acme.example', display_name: 'Ada Byron', state: 'active' } },
        },
        {
          id: 'key_1', name: 'Inventory', kind: 'regional', region: { id: 'reg_eu-north', slug: 'eu-north' }, state: 'void', role: 'read-only', cidrs: [],
          secret_since: before(90 * 86_400), created_at: before(90 * 86_400),
          owner: { membership_id: 'mem_9', user: { id: 'usr_old', email: 'old@acme.example', display_name: 'Olga Old', state: 'active' } },
        },
      ],
    },
    roles: {
      [acme.id]: [
        {
          id: 'rol_2', name: 'release-crew', scope: 'tenant', description: 'Puts new versions of workloads in place, and takes them back.', created_at: before(2 * 86_400),
          permissions: ['cluster.list', 'cluster.read', 'workload.list', 'workload.read', 'workload.create', 'workload.update', 'workload.start', 'workload.stop'],
        },
        { id: 'rol_1', name: 'host-keeper', scope: 'cluster', description: 'Looks after the hosts of a cluster.', created_at: before(9 * 86_400), permissions: ['host.list', 'host.read', 'host.update', 'agent.list', 'agent.read', 'agent.suspend'] },
      ],
    },
    invitations: [
      { id: 'inv_2', tenant: acme.id, email: 'ivy@elsewhere.example', display_name: 'Ivy Compton', roles: ['auditor'], by: 'usr_ada', created_at: before(7_200), expires_at: before(-79_200) },
      { id: 'inv_1', tenant: acme.id, email: 'jon@elsewhere.example', display_name: 'Jon Silkin', roles: ['read-only', 'security-analyst'], by: 'usr_ada', created_at: before(3 * 86_400), expires_at: before(2 * 86_400) },
    ],
    tenants: [
      registered(provider, 'active', 400),
      registered(globex, 'active', 90),
      registered(acme, 'active', 120),
      registered(tenant(4, 'initech', 'Initech'), 'suspended(billing)', 60),
      registered(tenant(5, 'umbrella', 'Umbrella Pharmaceuticals'), 'suspended(incident)', 31),
      registered(tenant(6, 'hooli', 'Hooli'), 'deleting', 12),
    ],
    entitlements: {
      [acme.id]: [
        entitled(1, 'eu-north', { clusters: 5, hosts: 200 }),
        entitled(2, 'us-east', { hosts: 50, leases: 1000 }, { until: before(-86_400 * 12) }),
        entitled(3, 'ap-south', {}),
      ],
      [globex.id]: [entitled(4, 'eu-west', { clusters: 1 })],
    },
    probes: Object.fromEntries(['eu-north', 'us-east', 'ap-south', 'eu-west'].map((slug, n) => [slug, probesOf(n, before)])),
    sessions: [
      { email: 'ada@acme.example', tenant: 'acme', kind: 'token', createdAt: now - 86_400_000, expiresAt: now + 5 * 86_400_000, address: '203.0.113.7', agent: 'exarch/0.1.0' },
      {
        email: 'ada@acme.example', tenant: 'acme', kind: 'cookie', createdAt: now - 3 * 3_600_000, expiresAt: now + 6 * 86_400_000, address: '198.51.100.31',
        agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Version/19.1 Mobile/15E148 Safari/604.1',
      },
      { email: 'ben@globex.example', tenant: 'globex', kind: 'cookie', createdAt: now - 7_200_000, expiresAt: now + 6 * 86_400_000, address: '192.0.2.9', agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0' },
      { email: 'cleo@acme.example', tenant: 'acme', kind: 'cookie', createdAt: now - 600_000, expiresAt: now + 6 * 86_400_000, address: '192.0.2.44', agent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36' },
    ],
    devices: ['BCDF-GHJK', 'LMNP-QRST'].map((code) => (
      { code, address: '203.0.113.7', user_agent: 'exarch/0.1.0', asked_at: before(20), expires_at: before(-580) }
    )),
    regions: [
      {
        certificate_days: 29, last_seen: before(8), agents: { active: 42, pending: 1 }, leases: 37,
        ...named('eu-north', 'EU North'),
        lifecycle: 'active', health: 'healthy', last_probe_at: before(8), latency_ms: 14, software_version: '0.1.0',
        passport: { generation: 1, version: 212, acknowledged: 212, age_seconds: 9 }, skew_ms: 12,
      },
      {
        certificate_days: 4, last_seen: before(21), agents: { active: 11, suspended: 1 }, leases: 9,
        ...named('us-east', 'US East'),
        lifecycle: 'active', health: 'degraded', last_probe_at: before(21), latency_ms: 96, software_version: '0.1.0',
        passport: { generation: 1, version: 208, acknowledged: 207, age_seconds: 22 }, skew_ms: -40,
        reason: 'The region’s database answers slowly.',
      },
      {
        certificate_days: 17, last_seen: before(5 * 3600 + 60), agents: { active: 8 }, leases: 8,
        ...named('ap-south', 'AP South'),
        lifecycle: 'active', health: 'unreachable', last_probe_at: before(5 * 3600 + 60), latency_ms: 181, software_version: '0.0.9',
        passport: { generation: 1, version: 198, acknowledged: 190, age_seconds: 18_060 },
        reason: 'No answer to the last 600 probes.',
      },
      { ...named('sa-east', 'SA East'), lifecycle: 'joining', health: 'unknown' },
      {
        certificate_days: 22, last_seen: before(3), agents: { active: 3 }, leases: 2,
        ...named('eu-west', 'EU West'),
        lifecycle: 'draining', health: 'healthy', last_probe_at: before(3), latency_ms: 22, software_version: '0.1.0',
        passport: { generation: 1, version: 77, acknowledged: 77, age_seconds: 4 },
      },
    ],
    accounts: [
      {
        id: 'usr_ada', email: 'ada@acme.example', display_name: 'Ada Byron', password: PASSWORD,
        memberships: [member(acme, ['tenant-admin'], ['eu-north', 'us-east'])],
      },
      {
        id: 'usr_ben', email: 'ben@globex.example', display_name: 'Ben Okri', password: PASSWORD,
        memberships: [member(globex, ['read-only'], ['eu-north'])],
      },
      {
        id: 'usr_cleo', email: 'cleo@acme.example', display_name: 'Cleo Merode', password: PASSWORD,
        memberships: [
          member(acme, ['release-crew'], ['eu-north', 'us-east', 'ap-south', 'sa-east']),
          member(globex, ['auditor'], ['eu-west']),
        ],
      },
      {
        id: 'usr_dora', email: 'dora@provider.example', display_name: 'Dora Maar', password: PASSWORD, system: ['system-admin'], totp: '271828', totpSince: before(40 * 86_400), recovery: ['abcd-efgh-jkmn-pqrs'],
        memberships: [member(provider, ['tenant-admin'], ['eu-north'])],
      },
      { id: 'usr_eli', email: 'eli@provider.example', display_name: 'Eli Whitney', password: PASSWORD, system: ['provider-operator'], memberships: [] },
      { id: 'usr_hal', email: 'hal@provider.example', display_name: 'Hal Foster', password: PASSWORD, system: ['provider-operator'], mustEnrol: true, memberships: [] },
      { id: 'usr_finn', email: 'finn@nowhere.example', display_name: 'Finn Juhl', password: PASSWORD, memberships: [] },
      {
        id: 'usr_gus', email: 'gus@acme.example', display_name: 'Gus Mahler', password: PASSWORD, mustChange: true,
        memberships: [member(acme, ['read-only'], [])],
      },
    ],
  };
}

/**
 * A day of probes, newest first: quick and slow by the hour, with a gap and a silence where the region has one.
 * @param {number} n @param {(seconds: number) => string} before @returns {Probe[]}
 */
function probesOf(n, before) {
  const base = [14, 96, 181, 22][n] ?? 20;
  return Array.from({ length: 2880 }, (_, at) => {
    const wave = Math.sin(at / 190) * base * 0.12 + ((at * 7919) % 13) / 13 * base * 0.2;
    const silent = (n === 2 && at < 600) || (n === 1 && at > 900 && at < 912);
    const failing = n === 1 && at < 40;
    const outcome = silent ? 'missed' : failing ? 'failing' : 'good';
    const health = silent ? 'unreachable' : failing ? 'degraded' : 'healthy';
    return {
      id: `prb_${n}_${at}`, at: before(8 + at * 30), outcome, health,
      ...(silent ? { reason: 'No answer within 5 s.' } : { latency_ms: Math.round((base + wave) * 10) / 10, skew_ms: 12 }),
      ...(failing && { reason: 'The region’s database answers slowly.' }),
      ...(!silent && {
        answer: {
          instances: [1, 2].map((m) => ({ id: `ins_0197b2c4d5e67f8091a2b3c4d5e6f70${m}`, software: '0.1.0', passport: [1, [212, 207, 190, 77][n]], heartbeat_age: m })),
        },
      }),
    };
  });
}
