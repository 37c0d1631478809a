import { useLayoutEffect, useRef, useState, type KeyboardEvent } from 'react';
import type { ProbeSummary } from '../api/types';
import { bars, ceiling, line, slotAt, worst, type Slot } from './chart';

const HEIGHT = 190;
const STRIP = 16;
const colours = { good: 'fill-ok opacity-70', failing: 'fill-warn', missed: 'fill-bad' } as const;

type Props = { summary: ProbeSummary; label: string; stale: boolean };

/** Latency as a line, and below it a strip of how the probes of each slot went: the worst of them gives the colour. */
export function ProbeChart({ summary, label, stale }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(720);
  const [at, setAt] = useState<number>();

  useLayoutEffect(() => {
    if (!box.current || typeof ResizeObserver === 'undefined') return;
    const seen = new ResizeObserver(([entry]) => entry && setWidth(Math.max(280, Math.round(entry.contentRect.width))));
    seen.observe(box.current);
    return () => seen.disconnect();
  }, []);

  const frame = { width, height: HEIGHT, left: 52, right: 8, top: 10, bottom: 46 };
  const list = bars(summary, frame);
  const top = ceiling(Math.max(0, ...summary.slots.map(({ latency_most_ms }) => latency_most_ms ?? 0)));
  const floor = HEIGHT - frame.bottom;
  const y = (ms: number) => floor - (Math.min(ms, top) / top) * (floor - frame.top);
  const shown = at === undefined ? undefined : list[Math.min(at, list.length - 1)];
  const step = (event: KeyboardEvent, from: number) => {
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: list.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    setAt(Math.min(Math.max(to, 0), list.length - 1));
  };

  return (
    <div ref={box} className={stale ? 'opacity-60' : undefined}>
      <svg
        role="img"
        aria-label={label}
        tabIndex={0}
        width={width}
        height={HEIGHT}
        viewBox={`0 0 ${width} ${HEIGHT}`}
        className="block w-full touch-pan-y rounded"
        onPointerMove={(event) => setAt(slotAt(list, ((event.clientX - event.currentTarget.getBoundingClientRect().left) / event.currentTarget.getBoundingClientRect().width) * width))}
        onPointerLeave={() => setAt(undefined)}
        onKeyDown={(event) => step(event, at ?? list.length)}
        onBlur={() => setAt(undefined)}
      >
        {[0, top / 2, top].map((ms) => (
          <g key={ms}>
            <line x1={frame.left} x2={width - frame.right} y1={y(ms)} y2={y(ms)} className="stroke-line" />
            <text x={frame.left - 8} y={y(ms)} dy="0.32em" textAnchor="end" className="fill-mute text-xs tabular-nums">
              {ms.toLocaleString('en')} ms
            </text>
          </g>
        ))}
        {ticks(summary, width - frame.left - frame.right).map(({ share, text, anchor }) => (
          <text key={share} x={frame.left + share * (width - frame.left - frame.right)} y={HEIGHT - 4} textAnchor={anchor} className="fill-mute text-xs tabular-nums">
            {text}
          </text>
        ))}
        {list.map((bar) => (
          <rect key={bar.slot.at} x={bar.x} y={floor + 8} width={Math.max(1, bar.width - (bar.width > 4 ? 1 : 0))} height={STRIP - 4} className={colours[worst(bar.slot)]} />
        ))}
        <path d={line(list, ({ latency_most_ms }) => latency_most_ms, y)} className="fill-none stroke-edge" strokeWidth={1} strokeDasharray="2 2" />
        <path d={line(list, ({ latency_ms }) => latency_ms, y)} className="fill-none stroke-accent" strokeWidth={1.75} strokeLinejoin="round" strokeLinecap="round" />
        {shown && <line x1={shown.x + shown.width / 2} x2={shown.x + shown.width / 2} y1={frame.top} y2={floor + STRIP + 4} className="stroke-mute" />}
      </svg>
      <p aria-live="polite" className="mt-1 min-h-5 px-1 text-sm tabular-nums">
        {shown ? <Readout slot={shown.slot} seconds={summary.slot_seconds} /> : <Legend />}
      </p>
    </div>
  );
}

function Legend() {
  return (
    <span className="flex flex-wrap gap-x-4 gap-y-1 text-mute">
      <span className="inline-flex items-center gap-1.5">
        <svg width="18" height="8" aria-hidden>
          <line x1="0" x2="18" y1="4" y2="4" className="stroke-accent" strokeWidth="2" />
        </svg>
        median
      </span>
      <span className="inline-flex items-center gap-1.5">
        <svg width="18" height="8" aria-hidden>
          <line x1="0" x2="18" y1="4" y2="4" className="stroke-edge" strokeDasharray="2 2" />
        </svg>
        longest
      </span>
      {(['good', 'failing', 'missed'] as const).map((each) => (
        <span key={each} className="inline-flex items-center gap-1.5">
          <svg width="10" height="10" aria-hidden>
            <rect width="10" height="10" rx="2" className={colours[each]} />
          </svg>
          {each}
        </span>
      ))}
    </span>
  );
}

const when = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' });
const figure = (ms: number) => `${ms.toLocaleString('en', { maximumFractionDigits: ms < 10 ? 1 : 0 })} ms`;

function Readout({ slot, seconds }: { slot: Slot; seconds: number }) {
  const counts = (['good', 'failing', 'missed'] as const).filter((each) => slot[each] > 0).map((each) => `${slot[each]} ${each}`);
  const parts = [
    `${when.format(new Date(slot.at))}, ${seconds < 60 ? `${seconds} s` : seconds < 3600 ? `${seconds / 60} min` : `${Math.round(seconds / 360) / 10} h`}`,
    counts.join(', '),
    slot.latency_ms == null ? undefined : `median ${figure(slot.latency_ms)}`,
    slot.latency_most_ms == null ? undefined : `longest ${figure(slot.latency_most_ms)}`,
  ];
  return <>{parts.filter(Boolean).join(' · ')}</>;
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** The ends and what fits between them. */
function ticks({ from, until }: ProbeSummary, room: number) {
  const [start, end] = [Date.parse(from), Date.parse(until)];
  const parts = room < 420 ? 2 : 4;
  const format = end - start > 2 * 86_400_000 ? day : clock;
  return Array.from({ length: parts + 1 }, (_, n) => ({
    share: n / parts,
    text: format.format(start + ((end - start) * n) / parts),
    anchor: n === 0 ? ('start' as const) : n === parts ? ('end' as const) : ('middle' as const),
  }));
}
