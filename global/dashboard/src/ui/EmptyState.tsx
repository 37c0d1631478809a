import type { LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';

type Props = {
  Icon: LucideIcon;
  title: string;
  /** Where it is all there is on the page, it also heads the page. */
  heading?: 'h1' | 'p';
  children: ReactNode;
  action?: ReactNode;
};

/** Nothing to show, why, and what to do about it. */
export function EmptyState({ Icon, title, heading: Heading = 'p', children, action }: Props) {
  return (
    <div className="flex flex-col items-center px-6 py-12 text-center">
      <Icon size={28} strokeWidth={1.5} className="mb-3 text-mute" aria-hidden />
      <Heading className="text-lg font-medium">{title}</Heading>
      <div className="mt-1 max-w-md text-mute">{children}</div>
      {action && <div className="mt-4">{action}</div>}
    </div>
  );
}
