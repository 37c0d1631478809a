import { Check, Copy } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import { Button } from './Button';
import { Card } from './Card';
import { copy } from './copy';
import { LeaveGuard } from './LeaveGuard';

/** A text to be taken along, whole, by one press. A `secret` is not repeated where a copy fails. */
export function CopyLine({ label, text, secret = false, copied: told }: { label: string; text: string; secret?: boolean; copied?: () => void }) {
  const [copied, setCopied] = useState(false);
  return (
    <div>
      <p className="mb-1 text-sm text-mute">{label}</p>
      <div className="flex items-start gap-2 rounded-md border border-edge bg-surface py-1.5 pr-1.5 pl-3">
        <code className="min-w-0 flex-1 py-1 font-mono text-sm break-all select-all">{text}</code>
        <Button
          aria-label={`Copy: ${label}`}
          onClick={() => void copy(text, label, secret).then((done) => {
            setCopied(done);
            if (done) told?.();
          })}
        >
          {copied ? <Check size={15} aria-hidden /> : <Copy size={15} aria-hidden />}
          {copied ? 'Copied' : 'Copy'}
        </Button>
      </div>
    </div>
  );
}

/** What the server shows this once: leaving is asked about until it was copied, or said to be kept. */
export function ShownOnce({ label, text, children }: { label: string; text: string; children: ReactNode }) {
  const [kept, setKept] = useState(false);
  return (
    <Card className="space-y-4 p-5">
      <LeaveGuard when={() => !kept} what={`${label} is not shown again. Leave once you have kept it.`} />
      {children}
      <CopyLine label={label} text={text} secret copied={() => setKept(true)} />
      {!kept && (
        <Button look="quiet" onClick={() => setKept(true)}>
          I have kept it
        </Button>
      )}
    </Card>
  );
}
