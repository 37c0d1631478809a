import { ChevronLeft } from 'lucide-react';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { Freshness, type Live } from './Freshness';

type Props = {
  title: string;
  /** The list that the page belongs to. */
  back?: { to: '/' | '/tenants' | '/people' | '/roles' | '/api-keys' | '/account'; label: string };
  badge?: ReactNode;
  intro?: ReactNode;
  /** What can be done here. */
  actions?: ReactNode;
  /** How old the page's figures are. */
  live?: Live;
  /** For forms, whose lines are not to be long. */
  narrow?: boolean;
  children: ReactNode;
};

/** A page about one thing: the way back, its name and state, what can be done, and then its parts. */
export function Page({ title, back, badge, intro, actions, live, narrow = false, children }: Props) {
  return (
    <div className={narrow ? 'mx-auto max-w-2xl' : undefined}>
      <title>{`${title} · Exarch`}</title>
      {back && (
        <Link to={back.to} className="-ml-1 mb-2 inline-flex items-center gap-1 rounded py-1 pr-1 text-sm text-mute hover:text-ink">
          <ChevronLeft size={15} aria-hidden />
          {back.label}
        </Link>
      )}
      <div className="mb-5 flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <h1 className="text-xl font-semibold break-words">{title}</h1>
            {badge}
          </div>
          {intro && <div className="mt-0.5 text-mute">{intro}</div>}
        </div>
        {(actions || live) && (
          <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
            {live && <Freshness live={live} />}
            {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
          </div>
        )}
      </div>
      <div className="space-y-8">{children}</div>
    </div>
  );
}

/** What is known of a thing, by name. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className="grid gap-x-8 gap-y-4 px-4 py-4 sm:grid-cols-2 lg:grid-cols-4">{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-sm text-mute">{name}</dt>
      <dd className="mt-0.5 break-words">{children}</dd>
    </div>
  );
}

/** Holds a page's place until it is known what is on it. */
export function Skeleton() {
  return (
    <div role="status" className="space-y-4">
      <span className="sr-only">Loading…</span>
      <div aria-hidden className="h-7 w-56 animate-pulse rounded bg-sunken" />
      <div aria-hidden className="h-28 animate-pulse rounded-lg bg-sunken" />
      <div aria-hidden className="h-56 animate-pulse rounded-lg bg-sunken" />
    </div>
  );
}
