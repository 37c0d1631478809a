import { useMe } from '../api/me';
import { MySessions } from '../sessions/MySessions';
import { links } from '../links';
import { ButtonLink } from '../ui/ButtonLink';
import { Card } from '../ui/Card';
import { Fact, Facts, Page } from '../ui/Page';
import { roleWord } from '../roles/words';
import { SecondFactor } from './SecondFactor';

/** One's own account: who one is here, the second factor, and where one is signed in. */
export function AccountPage() {
  const me = useMe();
  return (
    <Page title="Account" intro={me.user.email} actions={<ButtonLink to={links.password}>Change password…</ButtonLink>}>
      <Card>
        <Facts>
          <Fact name="Name">{me.user.display_name}</Fact>
          <Fact name="E-mail">{me.user.email}</Fact>
          <Fact name={me.tenant ? `Roles in ${me.tenant.name}` : 'Roles in a tenant'}>{me.roles.map(roleWord).join(', ') || 'none'}</Fact>
          <Fact name="Roles in the federation">{me.system?.join(', ') || 'none'}</Fact>
        </Facts>
      </Card>
      <SecondFactor />
      <MySessions />
    </Page>
  );
}
