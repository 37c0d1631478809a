import clsx from 'clsx';
import type { LucideIcon } from 'lucide-react';

export type Tone = 'ok' | 'warn' | 'bad' | 'off';

const looks: Record<Tone, string> = {
  ok: 'bg-ok-tint text-ok',
  warn: 'bg-warn-tint text-warn',
  bad: 'bg-bad-tint text-bad',
  off: 'bg-off-tint text-off',
};

/** A state as word, icon and colour together: none of them carries it alone. */
export function StatusBadge({ tone, word, Icon, title }: { tone: Tone; word: string; Icon: LucideIcon; title?: string }) {
  return (
    <span
      title={title}
      className={clsx('inline-flex items-center gap-1 rounded-full align-middle py-0.5 pr-2 pl-1.5 text-sm font-medium whitespace-nowrap', looks[tone])}
    >
      <Icon size={14} strokeWidth={2.25} aria-hidden />
      {word}
    </span>
  );
}
