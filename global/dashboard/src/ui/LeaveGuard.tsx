import { useBlocker } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { guard } from './unsaved';

/** Asks before a page is left that holds something which would be lost. */
export function LeaveGuard({ when, what = 'What you typed here is not saved.' }: { when: () => boolean; what?: string }) {
  const { status, proceed, reset } = useBlocker({ shouldBlockFn: when, enableBeforeUnload: when, withResolver: true });
  const current = useRef(when);
  useEffect(() => {
    current.current = when;
  });
  useEffect(() => guard(() => current.current()), []);
  if (status !== 'blocked') return null;
  return (
    <Dialog title="Leave this page?" intro={what} close={() => reset()}>
      <div className="flex justify-end gap-2">
        <Button onClick={() => proceed()}>Leave</Button>
        <Button look="primary" onClick={() => reset()}>
          Stay
        </Button>
      </div>
    </Dialog>
  );
}
