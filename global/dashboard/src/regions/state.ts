// How states of regions are shown. The words are the design's; a state of a newer server is shown by its own name.
import {
  CircleCheck, CircleDashed, CircleDot, CircleQuestionMark, CircleSlash, CircleX, LoaderCircle, LogOut, TriangleAlert,
  type LucideIcon,
} from 'lucide-react';
import type { Tone } from '../ui/StatusBadge';

type Look = {
  word: string;
  tone: Tone;
  Icon: LucideIcon;
  /** What it means for someone who wants to work there. */
  meaning: string;
  /** False while no one can be let in. */
  open: boolean;
  /** Order by urgency, most urgent first. */
  urgency: number;
};

const looks: Record<string, Look> = {
  unreachable: { word: 'Unreachable', tone: 'bad', Icon: CircleX, urgency: 0, open: true, meaning: 'The global controller cannot reach it; the region itself may still answer.' },
  degraded: { word: 'Degraded', tone: 'warn', Icon: TriangleAlert, urgency: 1, open: true, meaning: 'It answers, but a part of it does not work as it should.' },
  unknown: { word: 'Unknown', tone: 'off', Icon: CircleQuestionMark, urgency: 2, open: true, meaning: 'Not probed yet.' },
  draining: { word: 'Draining', tone: 'warn', Icon: LogOut, urgency: 3, open: true, meaning: 'It takes no new work and is about to be closed.' },
  joining: { word: 'Joining', tone: 'off', Icon: LoaderCircle, urgency: 4, open: false, meaning: 'It is being set up and is not open yet.' },
  registered: { word: 'Registered', tone: 'off', Icon: CircleDashed, urgency: 5, open: false, meaning: 'It has a name and is not set up yet.' },
  healthy: { word: 'Healthy', tone: 'ok', Icon: CircleCheck, urgency: 6, open: true, meaning: 'It answers in time and all parts work.' },
  active: { word: 'Active', tone: 'ok', Icon: CircleDot, urgency: 7, open: true, meaning: 'It is part of the federation.' },
  removed: { word: 'Removed', tone: 'off', Icon: CircleSlash, urgency: 8, open: false, meaning: 'It is no longer part of the federation.' },
};

export function lookOf(state: string): Look {
  return looks[state] ?? { word: state, tone: 'off', Icon: CircleQuestionMark, urgency: 2, open: true, meaning: 'A state this page does not know.' };
}

export type PassportTier = 'fresh' | 'stale' | 'old' | 'expired';

/** By age of the passport's freshness statement; the bounds are the defaults of the design. */
export function passportTier(ageSeconds: number): PassportTier {
  if (ageSeconds <= 15 * 60) return 'fresh';
  if (ageSeconds <= 24 * 3600) return 'stale';
  return ageSeconds <= 72 * 3600 ? 'old' : 'expired';
}
