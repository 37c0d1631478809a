import { useQueryClient } from '@tanstack/react-query';
import type { Tagged } from '../api/client';
import { EditDialog } from './EditDialog';
import { Field } from './Field';
import { missing, text } from './form-state';
import { toast } from './Toasts';

type Props<T, K extends string> = {
  /** As it is called when the dialog opens. */
  called: string;
  intro: string;
  label: string;
  /** The member of the thing that is its name; also its pointer in the request. */
  member: K;
  read: () => Promise<Tagged<T>>;
  save: (body: Record<K, string>, tag: string) => Promise<T>;
  /** What is said once it has the new name. */
  told: (name: string) => string;
  /** The first words of the keys of the queries that show the name. */
  shownIn: readonly string[];
  close: () => void;
};

/** Another name for something, and nothing else of it. */
export function RenameDialog<T extends Record<K, string>, K extends string>({ called, intro, label, member, read, save, told, shownIn, close }: Props<T, K>) {
  const client = useQueryClient();
  const name = `/${member}`;
  return (
    <EditDialog<T, Record<string, string>>
      title={`Rename ${called}`}
      intro={intro}
      read={read}
      values={(thing) => ({ [name]: thing[member] })}
      words={{ [name]: { label, say: (value) => value } }}
      typed={(form) => ({ [name]: text(form, name) })}
      check={(form) => missing(form, { [name]: 'Enter the name' })}
      fields={(values) => <Field label={label} name={name} defaultValue={values[name]} autoComplete="off" autoFocus />}
      save={(changes, tag) => save({ [member]: changes[name] } as Record<K, string>, tag)}
      done={(now) => {
        toast(told(now[member]));
        for (const key of shownIn) void client.invalidateQueries({ queryKey: [key] });
        close();
      }}
      close={close}
    />
  );
}
