// The geometry of the chart of probes: pure, so that it can be tested without a page.
import type { ProbeSummary } from '../api/types';

export type Slot = ProbeSummary['slots'][number];

/** Where things lie in a drawing of `width` by `height`; the figures stand left of the plot, the times below it. */
export type Frame = { width: number; height: number; left: number; right: number; top: number; bottom: number };

export type Bar = { slot: Slot; x: number; width: number };

/** One bar a slot, from `from` on the left to `until` on the right. */
export function bars({ from, until, slot_seconds, slots }: ProbeSummary, { width, left, right }: Frame): Bar[] {
  const [start, end] = [Date.parse(from), Date.parse(until)];
  const scale = (width - left - right) / (end - start);
  return slots.map((slot) => ({ slot, x: left + (Date.parse(slot.at) - start) * scale, width: slot_seconds * 1000 * scale }));
}

/** The lowest of 1, 2, 5 × 10ⁿ that is not below; an empty chart has an axis too. */
export function ceiling(most: number): number {
  if (!(most > 0)) return 10;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= most) ?? 10 * power;
}

/** The path of a figure over the bars; it is broken where a slot has none or is not there, for nothing was measured then. */
export function line(list: readonly Bar[], value: (slot: Slot) => number | null | undefined, y: (value: number) => number): string {
  let path = '';
  let end = Number.NaN;
  for (const { slot, x, width } of list) {
    const figure = value(slot);
    if (figure == null) continue;
    const joined = Math.abs(x - end) < width / 2;
    const at = `${round(x + width / 2)} ${round(y(figure))}`;
    // A slot alone between gaps would be a point, which no line shows: it is drawn as wide as it is.
    path += joined ? `L${at}` : `M${round(x)} ${round(y(figure))}L${at}`;
    end = x + width;
  }
  return path;
}

export const worst = ({ missed, failing }: Slot): 'missed' | 'failing' | 'good' => (missed > 0 ? 'missed' : failing > 0 ? 'failing' : 'good');

/** The slot under a place, or the one nearest to it. */
export function slotAt(list: readonly Bar[], x: number): number | undefined {
  let found: number | undefined;
  let distance = Number.POSITIVE_INFINITY;
  list.forEach((bar, n) => {
    const away = Math.abs(x - (bar.x + bar.width / 2));
    if (away < distance) [found, distance] = [n, away];
  });
  return found;
}

export type Totals = { probes: number; good: number; failing: number; missed: number; median?: number };

/** Of all slots together. The median of their medians stands for the typical latency. */
export function totals(slots: readonly Slot[]): Totals {
  const sum = (key: 'good' | 'failing' | 'missed') => slots.reduce((all, slot) => all + slot[key], 0);
  const [good, failing, missed] = [sum('good'), sum('failing'), sum('missed')];
  const measured = slots.flatMap(({ latency_ms }) => (latency_ms == null ? [] : [latency_ms])).sort((a, b) => a - b);
  return { probes: good + failing + missed, good, failing, missed, median: measured[Math.floor(measured.length / 2)] };
}

/** Rounded down, so that 100 % means every one. */
export function share(part: number, whole: number): string {
  if (whole === 0) return '0 %';
  const tenths = Math.floor((part / whole) * 1000);
  return `${tenths % 10 === 0 ? tenths / 10 : (tenths / 10).toFixed(1)} %`;
}

const round = (n: number) => Math.round(n * 10) / 10;
