import clsx from 'clsx';
import type { ButtonHTMLAttributes } from 'react';

type Props = ButtonHTMLAttributes<HTMLButtonElement> & {
  look?: 'primary' | 'secondary' | 'quiet' | 'danger';
  /** Says what is going on in place of the label, and takes no second press. */
  busy?: string | false;
};

/** A button that waits stays focusable (aria-disabled, not disabled), so that the keyboard does not lose its place. */
export function Button({ look = 'secondary', busy = false, className, children, onClick, type = 'button', ...rest }: Props) {
  const inert = Boolean(busy) || rest['aria-disabled'] === true || rest['aria-disabled'] === 'true';
  return (
    <button
      {...rest}
      type={type}
      aria-disabled={inert || undefined}
      onClick={(event) => {
        if (inert) event.preventDefault();
        else onClick?.(event);
      }}
      className={clsx(
        'inline-flex items-center justify-center gap-1.5 rounded-md px-3 py-1.5 font-medium whitespace-nowrap transition-colors',
        look === 'primary' && 'bg-fill text-on-fill',
        look === 'primary' && !inert && 'hover:bg-fill-over',
        look === 'danger' && 'bg-danger text-on-danger',
        look === 'danger' && !inert && 'hover:bg-danger-over',
        look === 'secondary' && 'border border-edge bg-surface',
        look === 'secondary' && !inert && 'hover:bg-sunken',
        look === 'quiet' && 'text-mute',
        look === 'quiet' && !inert && 'hover:bg-sunken hover:text-ink',
        inert && 'cursor-default opacity-75',
        className,
      )}
    >
      {busy || children}
    </button>
  );
}
