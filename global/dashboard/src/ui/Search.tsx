import { Search as Glass } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';

const PAUSE_MS = 300;

type Props = { label: string; placeholder?: string; value: string; onSearch: (text: string) => void };

/** Searches when the typing pauses, and at once on Enter. */
export function Search({ label, placeholder = 'Search by name or slug', value, onSearch }: Props) {
  const [typed, setTyped] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  // The address is the truth: going back, or showing all, changes the field too.
  useEffect(() => setTyped(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);

  function search(text: string): void {
    clearTimeout(timer.current);
    if (text.trim() !== value) onSearch(text.trim());
  }

  return (
    <form
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        search(typed);
      }}
      className="relative w-72 max-w-full"
    >
      <Glass size={15} className="pointer-events-none absolute top-1/2 left-2.5 -translate-y-1/2 text-mute" aria-hidden />
      <input
        type="search"
        aria-label={label}
        placeholder={placeholder}
        value={typed}
        maxLength={100}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => {
          const text = event.currentTarget.value;
          setTyped(text);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => search(text), PAUSE_MS);
        }}
        className="block w-full rounded-md border border-edge bg-surface py-1.5 pr-2 pl-8 placeholder:text-mute"
      />
    </form>
  );
}
