import { useMutation } from '@tanstack/react-query';
import { KeyRound } from 'lucide-react';
import { api, data } from '../api/client';
import { useMe } from '../api/me';
import { may } from '../api/may';
import { asProblem } from '../api/problem';
import type { Region } from '../api/types';
import { Button } from '../ui/Button';
import { Card } from '../ui/Card';
import { EmptyState } from '../ui/EmptyState';
import { Notice } from '../ui/Notice';
import { Section } from '../ui/Section';
import { Join } from './Join';

/** While nobody has joined: a new token in the place of any before it. */
export function JoinSection({ region: { slug, name } }: { region: Region }) {
  const me = useMe();
  const make = useMutation({ mutationFn: () => data(api.POST('/v1/regions/{slug}/join-token', { params: { path: { slug } } })) });
  return (
    <Section level={2} title="Joining" intro="The region waits for its gateway.">
      {make.data ? (
        <Join key={make.data.token} slug={slug} name={name} token={make.data} />
      ) : (
        <Card>
          <EmptyState
            Icon={KeyRound}
            title="No gateway has joined"
            action={
              may(me, 'region.register') && (
                <Button look="primary" busy={make.isPending && 'Making…'} onClick={() => make.mutate()}>
                  New join token
                </Button>
              )
            }
          >
            {may(me, 'region.register')
              ? 'A join token is good once and for 15 minutes. A new one ends those before it.'
              : 'An administrator of the federation makes the token with which it joins.'}
          </EmptyState>
        </Card>
      )}
      {make.isError && (
        <Notice kind="bad" className="mt-3">
          {asProblem(make.error).sentence}
        </Notice>
      )}
    </Section>
  );
}
