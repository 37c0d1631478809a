import type { FieldError } from '../api/problem';
import { Field } from '../ui/Field';
import { text } from '../ui/form-state';

/** The code that the app shows now. */
export function AppCodeField({ label = 'Six-digit code of the app', autoFocus = false }: { label?: string; autoFocus?: boolean }) {
  return <Field label={label} name="/totp" inputMode="numeric" autoComplete="one-time-code" maxLength={10} autoFocus={autoFocus} className="font-mono tracking-[0.3em] tabular-nums" />;
}

/** Typed with spaces or without. */
export const code = (form: FormData): string => text(form, '/totp').replaceAll(/\s/g, '');

export const codeCheck = (form: FormData): FieldError[] => (/^\d{6}$/.test(code(form)) ? [] : [{ pointer: '/totp', reason: 'The code has six digits' }]);
