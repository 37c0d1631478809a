import { useState } from 'react';
import { api, data } from '../api/client';
import type { Enrolment } from '../api/types';
import { useMe } from '../api/me';
import { AppKey } from '../ui/AppKey';
import { Dialog } from '../ui/Dialog';
import { Field } from '../ui/Field';
import { Form } from '../ui/Form';
import { missing } from '../ui/form-state';
import { AppCodeField, code, codeCheck } from './AppCodeField';

type Props = { replaces: boolean; done: (codes: string[]) => void; close: () => void };

/** First who asks, then the key, then a code that shows that the app has it. Until then what was in use stays in use. */
export function EnrolDialog({ replaces, done, close }: Props) {
  const { email } = useMe().user;
  const [enrolment, setEnrolment] = useState<Enrolment>();
  const title = replaces ? 'Replace the app' : 'Set up an app';
  if (!enrolment) {
    return (
      <Dialog title={title} intro={replaces ? 'The app in use stays in use until the new one has shown a code.' : 'First your password.'} close={close}>
        <Form<Enrolment>
          submit="Continue"
          busyLabel="One moment…"
          cancel={close}
          check={(form) => [...missing(form, { '/password': 'Enter your password' }), ...(replaces ? codeCheck(form) : [])]}
          send={(form) => data(api.POST('/v1/me/totp', { body: { password: String(form.get('/password')), ...(replaces && { totp: code(form) }) } }))}
          done={setEnrolment}
        >
          <Field label="Password" name="/password" type="password" autoComplete="current-password" autoFocus />
          {replaces && <AppCodeField label="Code of the app in use" />}
        </Form>
      </Dialog>
    );
  }
  return (
    <Dialog title={title} intro="Add this key to an authenticator app, then enter the code that the app shows." close={close}>
      <Form
        submit="Verify"
        busyLabel="Verifying…"
        cancel={close}
        check={codeCheck}
        send={(form) => data(api.POST('/v1/me/totp/{id}/verify', { params: { path: { id: enrolment.id } }, body: { totp: code(form) } }))}
        done={({ recovery_codes }) => done(recovery_codes)}
      >
        <AppKey email={email} secret={enrolment.secret} uri={enrolment.uri} />
        <AppCodeField autoFocus />
      </Form>
    </Dialog>
  );
}
