// What pages share that a link in a mail leads to.
import { useState, type ReactNode } from 'react';
import { asProblem } from '../api/problem';
import { Mark } from '../ui/Mark';

export function Frame({ children }: { children: ReactNode }) {
  return (
    <main className="mx-auto flex min-h-dvh max-w-sm flex-col px-6 pt-[14vh] pb-8">
      <div className="mb-10 flex items-center gap-2.5">
        <Mark size={28} />
        <span className="text-xl font-semibold tracking-tight">Exarch</span>
      </div>
      {children}
    </main>
  );
}

/** One call at a time, and why it was refused. */
export function useSend() {
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<string>();
  async function send(call: () => Promise<unknown>, refused?: (slug: string) => boolean): Promise<boolean> {
    if (busy) return false;
    setBusy(true);
    setRefusal(undefined);
    try {
      await call();
      return true;
    } catch (error) {
      const problem = asProblem(error);
      if (!refused?.(problem.slug)) setRefusal(problem.sentence);
      return false;
    } finally {
      setBusy(false);
    }
  }
  return { busy, refusal, send };
}

export function Page({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="space-y-4">
      <title>{`${title} · Exarch`}</title>
      <h1 className="text-xl font-semibold">{title}</h1>
      {children}
    </div>
  );
}
