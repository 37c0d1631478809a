// Where a tenant can stand, what that leaves to it, and which steps lead on. The words are the server's.
import { CircleCheck, CircleDashed, CircleQuestionMark, CircleSlash, Hand, ReceiptText, ShieldAlert, type LucideIcon } from 'lucide-react';
import type { Permission } from '../api/may';
import type { Tone } from '../ui/StatusBadge';

type Look = { word: string; tone: Tone; Icon: LucideIcon; meaning: string };

const looks: Record<string, Look> = {
  active: { word: 'Active', tone: 'ok', Icon: CircleCheck, meaning: 'Everything works.' },
  'suspended(billing)': {
    word: 'Suspended: billing', tone: 'warn', Icon: ReceiptText,
    meaning: 'Its people read and export; changes are refused. Agents and leases go on.',
  },
  'suspended(incident)': {
    word: 'Suspended: incident', tone: 'bad', Icon: ShieldAlert,
    meaning: 'Only its administrators and auditors sign in, to read. Its agents are quarantined and its workloads stop.',
  },
  'suspended(hold)': { word: 'On hold', tone: 'warn', Icon: Hand, meaning: 'Everything works; it cannot be deleted.' },
  deleting: { word: 'Being deleted', tone: 'bad', Icon: CircleDashed, meaning: 'Only exports work, and its workloads stop. It can still be restored.' },
  deleted: { word: 'Deleted', tone: 'off', Icon: CircleSlash, meaning: 'Nothing is left but its name and its audit.' },
};

export const lookOfTenant = (state: string): Look =>
  looks[state] ?? { word: state, tone: 'off', Icon: CircleQuestionMark, meaning: 'A state this page does not know.' };

export type Step = 'suspend' | 'resume' | 'delete' | 'restore';

export const needs: Record<Step, Permission> = {
  suspend: 'tenant.suspend',
  resume: 'tenant.resume',
  delete: 'tenant.delete',
  restore: 'tenant.restore',
};

/** The steps that the server takes from a state, the usual one first. */
export function stepsFrom(state: string): Step[] {
  switch (state) {
    case 'active':
      return ['suspend', 'delete'];
    case 'suspended(billing)':
    case 'suspended(incident)':
      return ['resume', 'suspend', 'delete'];
    case 'suspended(hold)':
      return ['resume', 'suspend'];
    case 'deleting':
      return ['restore'];
    default:
      return [];
  }
}

export const causes = [
  { value: 'billing', label: 'Billing', note: 'Its people can read and export; changes are refused. Agents and leases go on.' },
  { value: 'incident', label: 'Incident', note: 'Only administrators and auditors sign in, to read. Agents are quarantined, leases are not renewed, workloads stop.' },
  { value: 'hold', label: 'Hold', note: 'Everything works. The tenant cannot be deleted.' },
] as const;

export type Cause = (typeof causes)[number]['value'];
