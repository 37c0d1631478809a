// The steps of a region's life that people take, and what follows from each.
import type { Permission } from '../api/may';
import type { Region } from '../api/types';

export type Step = 'drain' | 'resume' | 'remove';

export const needs: Record<Step, Permission> = { drain: 'region.drain', resume: 'region.drain', remove: 'region.remove' };

/** The steps that the server takes from a stage of life, the usual one first. */
export function stepsFrom(lifecycle: string): Step[] {
  switch (lifecycle) {
    case 'active':
      return ['drain'];
    case 'draining':
      return ['resume', 'remove'];
    case 'registered':
    case 'joining':
      return ['remove'];
    default:
      return [];
  }
}

type Plan = { title: string; consequences: string[]; submit: string; busyLabel: string; danger?: boolean; said: string };

export function planOf(step: Step, { name, lifecycle }: Region): Plan {
  switch (step) {
    case 'drain':
      return {
        title: `Drain ${name}`,
        consequences: [
          'No tenant is newly entitled to it.',
          'What is there goes on: people enter it, agents and leases stay as they are.',
          'It can be put back in full service at any time, or be removed once no tenant is entitled to it.',
        ],
        submit: 'Drain region',
        busyLabel: 'Draining…',
        said: `${name} is being drained.`,
      };
    case 'resume':
      return {
        title: `Put ${name} back in service`,
        consequences: ['Tenants can be entitled to it again.', 'For those that are nothing changes.'],
        submit: 'Put back in service',
        busyLabel: 'Putting back…',
        said: `${name} is back in full service.`,
      };
    case 'remove':
      return {
        title: `Remove ${name}`,
        consequences: lifecycle === 'registered' ?
          ['No gateway can join it any more: a join token that was given out is worth nothing.', 'Nothing brings it back, and its slug is never used again.']
        : [
            'It is no longer part of the federation: its certificates and secrets end at once, and it is told so by a signed statement.',
            'Its gateways let nobody in any more, neither people nor agents. What still runs there ends with its leases.',
            'Its data stays in its own database; the history of its probes stays here.',
            'Nothing brings it back, and its slug is never used again.',
          ],
        submit: 'Remove region',
        busyLabel: 'Removing…',
        danger: true,
        said: `${name} is removed.`,
      };
  }
}
