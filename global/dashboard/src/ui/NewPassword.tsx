import type { FieldError } from '../api/problem';
import { Field } from './Field';

/** The shortest any account may have, the shortest one without a second factor's help, and the longest. */
const SHORTEST = 12;
const ALONE = 15;
const LONGEST = 256;

type Props = { name: string; label?: string; error?: string; autoFocus?: boolean };

/** A password to be chosen, with the rule for it. The server alone knows which of the two lengths holds. */
export function NewPasswordField({ name, label = 'New password', error, autoFocus }: Props) {
  return (
    <Field
      label={label}
      name={name}
      type="password"
      autoComplete="new-password"
      autoFocus={autoFocus}
      error={error}
      hint={`At least ${ALONE} characters, or ${SHORTEST} where your tenant asks for a second factor. Any characters; a few words are fine.`}
    />
  );
}

/** What is wrong with it wherever it is chosen. Characters are counted as the server counts them. */
export function lengthFault(password: string): string | undefined {
  const length = [...password.normalize('NFC')].length;
  if (length < SHORTEST) return `Too short: ${length} of at least ${SHORTEST} characters.`;
  return length > LONGEST ? `Too long: ${length} of at most ${LONGEST} characters.` : undefined;
}

export function newPasswordCheck(form: FormData, name: string): FieldError[] {
  const reason = lengthFault(String(form.get(name) ?? ''));
  return reason ? [{ pointer: name, reason }] : [];
}
