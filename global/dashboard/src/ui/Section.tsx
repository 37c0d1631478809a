import { useId, type ReactNode } from 'react';

type Props = { level: 1 | 2; title: string; intro?: ReactNode; aside?: ReactNode; children: ReactNode };

/** A headed part of a page; level 1 heads the page. */
export function Section({ level, title, intro, aside, children }: Props) {
  const id = useId();
  const Heading = level === 1 ? 'h1' : 'h2';
  return (
    <section aria-labelledby={id}>
      <div className="mb-3 flex flex-wrap items-end justify-between gap-x-6 gap-y-1">
        <div>
          <Heading id={id} className={level === 1 ? 'text-xl font-semibold' : 'text-lg font-semibold'}>
            {title}
          </Heading>
          {intro && <p className="text-mute">{intro}</p>}
        </div>
        {aside}
      </div>
      {children}
    </section>
  );
}
