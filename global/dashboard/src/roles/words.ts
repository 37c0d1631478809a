// Roles and permissions as people read them.
import type { PermissionEntry, Role } from '../api/types';

const labels: Record<string, string> = {
  'tenant-admin': 'Tenant administrator',
  'security-analyst': 'Security analyst',
  auditor: 'Auditor',
  'read-only': 'Read only',
  'cluster-admin': 'Cluster administrator',
  'cluster-operator': 'Cluster operator',
};

/** A preset by its name for people; a tenant's own role is called as it was named. */
export const roleWord = (name: string): string => labels[name] ?? name;

export const scopeWord = (scope: string): string => (scope === 'cluster' ? 'One cluster' : scope === 'tenant' ? 'The tenant' : scope);

/** `bootstrap_token.create` → `Bootstrap token` */
export function subjectOf(permission: string): string {
  const words = permission.slice(0, permission.lastIndexOf('.')).replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export const actionOf = (permission: string): string => permission.slice(permission.lastIndexOf('.') + 1).replaceAll('_', ' ');

/** What a role that is bound at `scope` may hold at most. */
export const covered = (scope: string, all: readonly PermissionEntry[]): PermissionEntry[] =>
  all.filter((each) => each.scope === 'cluster' || (scope === 'tenant' && each.scope === 'tenant'));

/** By what they act on, in the order of the catalogue. */
export function grouped<T extends { name: string }>(entries: readonly T[]): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const entry of entries) groups.set(subjectOf(entry.name), [...(groups.get(subjectOf(entry.name)) ?? []), entry]);
  return [...groups];
}

/** What of these one does not hold oneself, and so can neither give nor change. */
export const beyond = (role: Pick<Role, 'permissions'>, held: readonly string[]): string[] => role.permissions.filter((name) => !held.includes(name));

/** Why a role is not to be given or changed. */
export const beyondWord = (names: readonly string[]): string =>
  names.length === 1 ? `It holds ${names[0]}, which you do not hold.` : `It holds ${names[0]} and ${names.length - 1} more that you do not hold.`;

export const matches = (entry: PermissionEntry, words: string): boolean => `${entry.name} ${subjectOf(entry.name)} ${entry.sentence}`.toLowerCase().includes(words);
