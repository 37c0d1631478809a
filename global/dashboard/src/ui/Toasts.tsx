// Short news of something the person just did, seen and announced; what must not be missed belongs in the page.
import { X } from 'lucide-react';
import { useSyncExternalStore } from 'react';

type Toast = { id: number; text: string };
const STAY_MS = 8_000;

let toasts: Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(change: Toast[]): void {
  toasts = change;
  for (const each of listeners) each();
}

const dismiss = (id: number): void => set(toasts.filter((toast) => toast.id !== id));

export function toast(text: string): void {
  const id = next++;
  set([...toasts, { id, text }]);
  setTimeout(() => dismiss(id), STAY_MS);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The region exists from the start: readers announce only what is added to a region they know. */
export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div role="status" aria-live="polite" className="fixed right-4 bottom-4 z-10 flex w-80 max-w-[calc(100vw-2rem)] flex-col gap-2">
      {shown.map(({ id, text }) => (
        <div key={id} className="flex items-start gap-2 rounded-lg border border-line bg-surface py-2 pr-2 pl-3 shadow-lg">
          <p className="min-w-0 flex-1 py-0.5">{text}</p>
          <button type="button" aria-label="Dismiss" onClick={() => dismiss(id)} className="grid size-6 place-items-center rounded text-mute hover:text-ink">
            <X size={15} aria-hidden />
          </button>
        </div>
      ))}
    </div>
  );
}
