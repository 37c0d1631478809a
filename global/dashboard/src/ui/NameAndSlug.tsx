import { useState } from 'react';
import { Field } from './Field';
import { slugOf } from './slug';

/** A name and the slug that follows from it, until somebody writes another one. */
export function NameAndSlug({ nameHint, slugHint }: { nameHint: string; slugHint: string }) {
  const [slug, setSlug] = useState('');
  const [own, setOwn] = useState(false);
  return (
    <>
      <Field
        label="Name"
        name="/name"
        hint={nameHint}
        autoComplete="off"
        autoFocus
        onChange={(event) => {
          if (!own) setSlug(slugOf(event.currentTarget.value));
        }}
      />
      <Field
        label="Slug"
        name="/slug"
        hint={slugHint}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        value={slug}
        onChange={(event) => {
          setOwn(event.currentTarget.value !== '');
          setSlug(event.currentTarget.value);
        }}
        className="font-mono"
      />
    </>
  );
}
