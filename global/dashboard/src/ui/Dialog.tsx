import { useId, useRef, type ReactNode } from 'react';

type Props = {
  title: string;
  intro?: ReactNode;
  /** Called once it is closed, however that came about; without it one of its buttons has to be pressed. */
  close?: () => void;
  /** Also closed by a press beside it; not where something may have been typed. */
  light?: boolean;
  wide?: boolean;
  children: ReactNode;
};

/** A modal question. The browser keeps the focus in it, closes it by Escape and gives the focus back. */
export function Dialog({ title, intro, close, light = false, wide = false, children }: Props) {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    <dialog
      ref={(element) => {
        dialog.current = element;
        if (element && !element.open) element.showModal();
      }}
      aria-labelledby={id}
      onCancel={(event) => {
        if (!close && event.target === dialog.current) event.preventDefault();
      }}
      // A browser closes by a second Escape what would not be closed by the first.
      onClose={() => (close ? close() : dialog.current?.showModal())}
      onClick={(event) => {
        if (light && event.target === dialog.current) dialog.current?.close();
      }}
      className={`${wide ? 'w-xl' : 'w-96'} max-w-[calc(100vw-2rem)] rounded-lg border border-line bg-surface p-0 shadow-xl`}
    >
      <div className="space-y-4 p-5">
        <div>
          <h2 id={id} className="text-lg font-semibold">
            {title}
          </h2>
          {intro && <div className="mt-1 text-mute">{intro}</div>}
        </div>
        {children}
      </div>
    </dialog>
  );
}
