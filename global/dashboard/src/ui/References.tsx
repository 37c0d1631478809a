import type { Problem } from '../api/problem';
import { CopyText } from './CopyText';

/** What support needs to find the cause, and a refusal's own number: `exarch why` explains it. */
export function References({ problem: { requestId, decisionId } }: { problem: Problem }) {
  if (!requestId && !decisionId) return null;
  return (
    <div className="mt-1 text-sm">
      {decisionId && (
        <p>
          Decision <CopyText what="The number of the decision" text={decisionId} />
        </p>
      )}
      {requestId && <p className="font-mono text-xs">Request {requestId}</p>}
    </div>
  );
}
