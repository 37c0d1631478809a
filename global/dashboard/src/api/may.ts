// What one holds, so that a page offers only what the server would allow. The server decides at every call; this is a courtesy.
import type { Me } from './types';

/** Those by which pages decide what they offer; a test looks for each in the server's own table. */
export const offeredBy = [
  'region.list', 'region.register', 'region.update', 'region.drain', 'region.remove',
  'tenant.list', 'tenant.create', 'tenant.update', 'tenant.suspend', 'tenant.resume', 'tenant.delete', 'tenant.restore',
  'entitlement.list', 'entitlement.grant', 'entitlement.revoke',
  'federation_session.list', 'federation_session.revoke', 'federation_user.read', 'federation_user.disable', 'federation_user.enable',
  'user.list', 'user.invite', 'user.update', 'session.list', 'session.revoke', 'settings.read', 'settings.update',
  'membership.list', 'membership.grant', 'membership.revoke', 'role.list', 'role.read', 'role.create', 'role.update', 'role.delete',
  'api_key.list', 'api_key.create', 'api_key.rotate', 'api_key.revoke',
] as const;

export type Permission = (typeof offeredBy)[number];

/** Whether one holds it: over the federation, or in all of the tenant in force. */
export const may = (me: Me, permission: Permission): boolean => me.held.includes(permission);
