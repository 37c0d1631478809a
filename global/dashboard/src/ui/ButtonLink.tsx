import { createLink } from '@tanstack/react-router';
import clsx from 'clsx';
import type { AnchorHTMLAttributes, Ref } from 'react';

type Props = AnchorHTMLAttributes<HTMLAnchorElement> & { look?: 'primary' | 'secondary'; ref?: Ref<HTMLAnchorElement> };

/** A link to a page on which something is done, as prominent as a button. */
export const ButtonLink = createLink(({ look = 'secondary', className, ...rest }: Props) => (
  <a
    {...rest}
    className={clsx(
      'inline-flex items-center justify-center gap-1.5 rounded-md px-3 py-1.5 font-medium whitespace-nowrap transition-colors',
      look === 'primary' ? 'bg-fill text-on-fill hover:bg-fill-over' : 'border border-edge bg-surface hover:bg-sunken',
      className,
    )}
  />
));
