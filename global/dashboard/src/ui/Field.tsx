import clsx from 'clsx';
import { Eye, EyeOff } from 'lucide-react';
import { useId, useState, type InputHTMLAttributes, type ReactNode, type Ref } from 'react';
import { useFieldError } from './form-state';

type Props = Omit<InputHTMLAttributes<HTMLInputElement>, 'id'> & {
  label: string;
  hint?: ReactNode;
  /** What is wrong with this very value; shown below and tied to the input. A `Form` knows it by the field's name. */
  error?: string;
  ref?: Ref<HTMLInputElement>;
};

export function Field({ label, hint, error: given, className, type, ...input }: Props) {
  const id = useId();
  const refused = useFieldError(input.name);
  const error = given ?? refused;
  const [shown, setShown] = useState(false);
  const secret = type === 'password';
  const about = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  return (
    <div>
      <label htmlFor={id} className="mb-1 block font-medium">
        {label}
      </label>
      <div className="relative">
        <input
          {...input}
          id={id}
          type={secret && shown ? 'text' : type}
          aria-describedby={about}
          aria-invalid={error ? true : input['aria-invalid']}
          className={clsx(
            'block w-full rounded-md border bg-surface px-3 py-2 text-lg focus-visible:outline-offset-0',
            error || input['aria-invalid'] ? 'border-bad' : 'border-edge',
            secret && 'pr-11',
            className,
          )}
        />
        {secret && (
          <button
            type="button"
            aria-pressed={shown}
            aria-label="Show password"
            title={shown ? 'Hide password' : 'Show password'}
            onClick={() => setShown(!shown)}
            className="absolute inset-y-1 right-1 grid w-9 place-items-center rounded text-mute hover:text-ink"
          >
            {shown ? <EyeOff size={17} aria-hidden /> : <Eye size={17} aria-hidden />}
          </button>
        )}
      </div>
      {hint && (
        <p id={`${id}-hint`} className="mt-1 text-sm text-mute">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className="mt-1 text-sm text-bad">
          {error}
        </p>
      )}
    </div>
  );
}
