import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, data, once } from '../api/client';
import type { Registered } from '../api/types';
import { links } from '../links';
import { ButtonLink } from '../ui/ButtonLink';
import { Card } from '../ui/Card';
import { Form } from '../ui/Form';
import { missing, optional, text } from '../ui/form-state';
import { NameAndSlug } from '../ui/NameAndSlug';
import { Page } from '../ui/Page';
import { PlaceFields } from './fields';
import { Join } from './Join';

const back = { to: links.home, label: 'Regions' } as const;

/** Registers a region; afterwards how its gateway joins. */
export function NewRegionPage() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [made, setMade] = useState<Registered>();
  if (made) {
    return (
      <Page title={`${made.region.name} is registered`} back={back} intro="Now its gateway joins." narrow>
        <Join slug={made.region.slug} name={made.region.name} token={made.join_token} />
        <ButtonLink to={links.region} params={{ slug: made.region.slug }}>
          Go to {made.region.name}
        </ButtonLink>
      </Page>
    );
  }
  return (
    <Page title="Register region" back={back} intro="Gives a region its name and a token with which its gateway joins." narrow>
      <Card className="p-5">
        <Form<Registered>
          guarded
          submit="Register region"
          busyLabel="Registering…"
          cancel={() => void navigate({ to: links.home })}
          check={(form) => missing(form, { '/name': 'Enter a name', '/slug': 'Enter a slug', '/url': 'Enter the address' })}
          send={(form, key) => data(api.POST('/v1/regions', {
            params: once(key),
            body: { name: text(form, '/name'), slug: text(form, '/slug'), url: text(form, '/url'), console_url: optional(form, '/console_url') },
          }))}
          done={(answer) => {
            void client.invalidateQueries({ queryKey: ['regions'] });
            setMade(answer);
          }}
        >
          <NameAndSlug nameHint="For people." slugHint="For addresses and commands. It stays for ever and is never given to another region." />
          <PlaceFields />
        </Form>
      </Card>
    </Page>
  );
}
