import { Copy } from 'lucide-react';
import { copy } from './copy';

/** A short text that people take elsewhere; pressing it copies it. */
export function CopyText({ what, text }: { what: string; text: string }) {
  return (
    <button
      type="button"
      onClick={() => void copy(text, what)}
      aria-label={`Copy: ${text}`}
      title="Copy"
      className="inline-flex min-h-6 max-w-full items-center gap-1.5 rounded text-left font-mono text-sm break-all hover:underline"
    >
      {text}
      <Copy size={13} className="shrink-0 text-mute" aria-hidden />
    </button>
  );
}
