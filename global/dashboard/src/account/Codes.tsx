import { api, data } from '../api/client';
import { Button } from '../ui/Button';
import { copy } from '../ui/copy';
import { Dialog } from '../ui/Dialog';
import { Form } from '../ui/Form';
import { AppCodeField, code, codeCheck } from './AppCodeField';

/** Ten new codes in the place of the old ones. */
export function NewCodesDialog({ done, close }: { done: (codes: string[]) => void; close: () => void }) {
  return (
    <Dialog title="New recovery codes" intro="The ones that you have now are worth nothing afterwards." close={close}>
      <Form
        submit="Make new codes"
        busyLabel="Making…"
        cancel={close}
        check={codeCheck}
        send={(form) => data(api.POST('/v1/me/recovery-codes', { body: { totp: code(form) } }))}
        done={({ recovery_codes }) => done(recovery_codes)}
      >
        <AppCodeField autoFocus />
      </Form>
    </Dialog>
  );
}

/** Shown this once. */
export function CodesDialog({ codes, close }: { codes: string[]; close: () => void }) {
  return (
    <Dialog title="Keep your recovery codes" intro="Each works once in the place of a code of the app, should you lose it. They are not shown again." close={close}>
      <ul aria-label="Recovery codes" className="grid gap-1 rounded-md border border-edge bg-surface px-3 py-2 font-mono select-all sm:grid-cols-2">
        {codes.map((each) => (
          <li key={each}>{each}</li>
        ))}
      </ul>
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={() => void copy(codes.join('\n'), 'The codes', true)}>Copy</Button>
        <Button look="primary" onClick={close}>
          I have kept them
        </Button>
      </div>
    </Dialog>
  );
}
