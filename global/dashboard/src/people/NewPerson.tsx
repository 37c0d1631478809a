import { Notice } from '../ui/Notice';
import { CopyLine, ShownOnce } from '../ui/ShownOnce';

type Made = { email: string; display_name: string; initial_password?: string | null };

/** How a person who was just added gets in. The password is nowhere else: it is shown here and never again. */
export function NewPerson({ person, role }: { person: Made; role: string }) {
  if (!person.initial_password) {
    return (
      <Notice kind="info">
        {person.display_name} ({person.email}) had an account already and is now {role}. The password stays what it was.
      </Notice>
    );
  }
  return (
    <ShownOnce label="Initial password" text={person.initial_password}>
      <p>
        {person.display_name} is now {role}. Pass address and password on by a way you trust; the password has to be changed
        at the first sign-in and <strong className="font-semibold">is not shown again</strong>.
      </p>
      <CopyLine label="E-mail" text={person.email} />
    </ShownOnce>
  );
}
