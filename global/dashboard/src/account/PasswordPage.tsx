import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { api, data } from '../api/client';
import { useMe } from '../api/me';
import { asProblem } from '../api/problem';
import { links } from '../links';
import { Trouble } from '../shell/Trouble';
import { Card } from '../ui/Card';
import { Field } from '../ui/Field';
import { Form } from '../ui/Form';
import { missing, text } from '../ui/form-state';
import { NewPasswordField, newPasswordCheck } from '../ui/NewPassword';
import { Notice } from '../ui/Notice';
import { Page, Skeleton } from '../ui/Page';
import { toast } from '../ui/Toasts';
import { secondFactorQuery } from './queries';

const back = { to: links.account, label: 'Account' } as const;

/** Another password for oneself; asks for the present one, and a code where there is an app. */
export function PasswordPage() {
  const me = useMe();
  const client = useQueryClient();
  const navigate = useNavigate();
  const factor = useQuery({ ...secondFactorQuery(me), refetchOnWindowFocus: false });
  const hasApp = Boolean(factor.data?.totp_since);
  return (
    <Page title="Change password" back={back} intro={me.user.email} narrow>
      {factor.isError && !factor.data ? (
        <Trouble title="Your account could not be loaded" problem={asProblem(factor.error)} again={() => void factor.refetch()} />
      ) : !factor.data ? (
        <Skeleton />
      ) : (
        <Card className="space-y-4 p-5">
          <Notice kind="info">
            You stay signed in here. All your other sessions end at once: other browsers, and programs that you let in.
          </Notice>
          <Form
            guarded
            submit="Change password"
            busyLabel="Changing…"
            cancel={() => void navigate({ to: links.account })}
            check={(form) => [
              ...missing(form, { '/password': 'Enter your present password', ...(hasApp && { '/totp': 'Enter a code' }) }),
              ...newPasswordCheck(form, '/new_password'),
            ]}
            send={(form) => data(api.POST('/v1/me/password', {
              body: { password: String(form.get('/password')), new_password: String(form.get('/new_password')), ...(hasApp && { totp: text(form, '/totp') }) },
            }))}
            done={() => {
              toast('Your password is changed, and you are signed in here alone.');
              void client.invalidateQueries({ queryKey: ['sessions'] });
              void navigate({ to: links.account });
            }}
          >
            {/* Tells a password manager whose password this is. */}
            <input type="text" name="username" autoComplete="username" value={me.user.email} readOnly hidden />
            <Field label="Present password" name="/password" type="password" autoComplete="current-password" autoFocus />
            {hasApp && (
              <Field label="Code" name="/totp" autoComplete="one-time-code" autoCapitalize="none" spellCheck={false} className="font-mono tabular-nums" hint="The six digits that your app shows now, or one of your recovery codes." />
            )}
            <NewPasswordField name="/new_password" />
          </Form>
        </Card>
      )}
    </Page>
  );
}
