import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data } from '../api/client';
import { useMe } from '../api/me';
import { may } from '../api/may';
import type { Region } from '../api/types';
import { links } from '../links';
import { Button } from '../ui/Button';
import { ButtonLink } from '../ui/ButtonLink';
import { Confirm } from '../ui/Confirm';
import { Field } from '../ui/Field';
import { missing, text } from '../ui/form-state';
import { toast } from '../ui/Toasts';
import { needs, planOf, stepsFrom, type Step } from './steps';

const words: Record<Step, string> = { drain: 'Drain…', resume: 'Put back in service…', remove: 'Remove…' };

/** Draining a region, taking that back, and removing it for good. */
export function Life({ region }: { region: Region }) {
  const me = useMe();
  const [step, setStep] = useState<Step>();
  return (
    <>
      {stepsFrom(region.lifecycle).filter((each) => may(me, needs[each])).map((each) => (
        <Button key={each} onClick={() => setStep(each)} className={each === 'remove' ? 'text-bad' : undefined}>
          {words[each]}
        </Button>
      ))}
      {step && <LifeDialog region={region} step={step} close={() => setStep(undefined)} />}
    </>
  );
}

function LifeDialog({ region, step, close }: { region: Region; step: Step; close: () => void }) {
  const client = useQueryClient();
  const { said, ...plan } = planOf(step, region);
  const params = { path: { slug: region.slug } };
  return (
    <Confirm
      {...plan}
      name={step === 'resume' ? undefined : region.slug}
      check={(form) => missing(form, { '/reason': 'Say why, in one sentence' })}
      send={(form) => {
        const body = { reason: text(form, '/reason') };
        switch (step) {
          case 'drain':
            return data(api.POST('/v1/regions/{slug}/drain', { params, body }));
          case 'resume':
            return data(api.POST('/v1/regions/{slug}/resume', { params, body }));
          case 'remove':
            return data(api.POST('/v1/regions/{slug}/remove', { params, body }));
        }
      }}
      remedy={({ slug }) =>
        slug === 'region-entitled' && (
          <ButtonLink to={links.tenants} className="mt-2 text-ink">
            Go to tenants
          </ButtonLink>
        )
      }
      done={() => {
        toast(said);
        void client.invalidateQueries({ queryKey: ['region'] });
        void client.invalidateQueries({ queryKey: ['regions'] });
        void client.invalidateQueries({ queryKey: ['my-regions'] });
        close();
      }}
      close={close}
    >
      <Field label="Reason" name="/reason" hint="One sentence for the audit of the provider." maxLength={200} autoComplete="off" autoFocus />
    </Confirm>
  );
}
