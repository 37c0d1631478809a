import { Field } from '../ui/Field';

const address = { inputMode: 'url', autoComplete: 'off', autoCapitalize: 'none', spellCheck: false, className: 'font-mono' } as const;

/** Where a region is for its users. */
export function PlaceFields({ url, console: place }: { url?: string; console?: string }) {
  return (
    <>
      <Field
        {...address}
        label="Address"
        name="/url"
        defaultValue={url}
        placeholder="https://eu-north.example"
        hint="Where its users reach it: https:// and a host, without a path. The global controller never dials it."
      />
      <Field {...address} label="Console, when elsewhere" name="/console_url" defaultValue={place} hint="The same as the address, when left empty." />
    </>
  );
}
