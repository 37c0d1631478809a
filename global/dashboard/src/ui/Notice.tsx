import clsx from 'clsx';
import { CircleX, Info, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';

const kinds = {
  bad: { Icon: CircleX, look: 'bg-bad-tint text-bad' },
  warn: { Icon: TriangleAlert, look: 'bg-warn-tint text-warn' },
  info: { Icon: Info, look: 'bg-off-tint text-ink' },
} as const;

/** A sentence beside what it is about. Errors are announced at once; the rest when the reader is idle. */
export function Notice({ kind, children, className }: { kind: keyof typeof kinds; children: ReactNode; className?: string }) {
  const { Icon, look } = kinds[kind];
  return (
    <div role={kind === 'bad' ? 'alert' : 'status'} className={clsx('flex gap-2 rounded-md px-3 py-2', look, className)}>
      <Icon size={17} className="mt-0.5 shrink-0" aria-hidden />
      <div className="min-w-0">{children}</div>
    </div>
  );
}
