import { api, data } from '../api/client';
import { Confirm } from '../ui/Confirm';
import { Field } from '../ui/Field';
import { missing } from '../ui/form-state';
import { AppCodeField, code, codeCheck } from './AppCodeField';

/** Takes the app off the account; with the password and a code, so that an open laptop is not enough. */
export function RemoveDialog({ done, close }: { done: () => void; close: () => void }) {
  return (
    <Confirm
      title="Remove the second factor"
      consequences={['The password alone opens the account from then on.', 'The recovery codes are worth nothing any more.']}
      submit="Remove"
      busyLabel="Removing…"
      danger
      check={(form) => [...missing(form, { '/password': 'Enter your password' }), ...codeCheck(form)]}
      send={(form) => data(api.POST('/v1/me/totp/remove', { body: { password: String(form.get('/password')), totp: code(form) } }))}
      done={done}
      close={close}
    >
      <Field label="Password" name="/password" type="password" autoComplete="current-password" autoFocus />
      <AppCodeField />
    </Confirm>
  );
}
