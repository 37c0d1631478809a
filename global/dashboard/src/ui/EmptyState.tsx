import type { LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';

/** Nothing to show, why, and what to do about it. */
export function EmptyState({ Icon, title, children, action }: { Icon: LucideIcon; title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-center px-6 py-12 text-center">
      <Icon size={28} strokeWidth={1.5} className="mb-3 text-mute" aria-hidden />
      <p className="text-lg font-medium">{title}</p>
      <div className="mt-1 max-w-md text-mute">{children}</div>
      {action && <div className="mt-4">{action}</div>}
    </div>
  );
}
