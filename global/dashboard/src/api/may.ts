// What one's roles hold, so that a page offers only what the server would allow. The server decides at every call; this
// is a courtesy, and a test compares it with the server's own table.
import type { Me } from './types';

const registry = ['region.list', 'region.read', 'tenant.list', 'tenant.read'] as const;

const system = {
  'system-admin': [
    ...registry, 'region.register', 'region.update', 'region.drain', 'region.remove', 'tenant.create', 'tenant.update', 'tenant.suspend', 'tenant.resume', 'tenant.delete', 'tenant.restore',
    'entitlement.list', 'entitlement.grant', 'entitlement.revoke', 'federation_session.list', 'federation_session.revoke',
    'federation_user.read', 'federation_user.disable', 'federation_user.enable',
  ],
  'provider-operator': registry,
} as const;

const tenant = {
  'tenant-admin': [
    'user.list', 'user.invite', 'user.update', 'session.list', 'session.revoke', 'settings.read', 'settings.update',
    'membership.list', 'membership.grant', 'membership.revoke',
  ],
  'security-analyst': [],
  auditor: [],
  'read-only': [],
} as const;

/** By role; a role that is not here holds nothing that a page offers. */
export const held: Readonly<Record<string, readonly Permission[]>> = { ...system, ...tenant };

type System = (typeof system)[keyof typeof system][number];
type Tenant = (typeof tenant)[keyof typeof tenant][number];
export type Permission = System | Tenant;

/** Whether one's roles hold it: over the federation, or in the tenant in force. */
export const may = (me: Me, permission: Permission): boolean =>
  [...(me.system ?? []), ...me.roles].some((role) => held[role]?.includes(permission));
