// The presets of the whole tenant, as a person who gives them has to understand them.

export const tenantRoles = [
  { value: 'tenant-admin', label: 'Tenant administrator', note: 'Everything in the tenant: people, their roles and sessions, the audit, and in its regions clusters, hosts, agents and workloads.' },
  { value: 'auditor', label: 'Auditor', note: 'Sees clusters, hosts, agents, workloads and leases, and reads the audit. Changes nothing.' },
  { value: 'security-analyst', label: 'Security analyst', note: 'Sees clusters, hosts, agents, workloads and leases, for work on security. Changes nothing.' },
  { value: 'read-only', label: 'Read only', note: 'Sees clusters, hosts, agents, workloads and leases. Changes nothing.' },
] as const;
