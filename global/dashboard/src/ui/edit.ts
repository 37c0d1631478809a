// What two people made of one thing. Values are those of a form, by the name of their field, which is the JSON pointer of the
// value in the request.

export type Value = string | readonly string[] | null;
export type Values = Record<string, Value>;

/** Order says nothing in a list that boxes are ticked in. */
const said = (value: Value | undefined): string => JSON.stringify(Array.isArray(value) ? [...value].sort() : (value ?? ''));

const same = (a: Value | undefined, b: Value | undefined): boolean => said(a) === said(b);

/** Those of `after` that are not as they were. */
export function changed<V extends Values>(before: V, after: V): Partial<V> {
  const names = (Object.keys(after) as (keyof V & string)[]).filter((name) => !same(before[name], after[name]));
  return Object.fromEntries(names.map((name) => [name, after[name]])) as Partial<V>;
}

export const isNothing = (changes: object): boolean => Object.keys(changes).length === 0;

/** What somebody else changed while one was changing it oneself. */
export type Overtaken<V extends Values> = {
  /** Changed by both, and not to the same: somebody has to choose. */
  clashes: (keyof V & string)[];
  /** Changed by somebody else alone: stays. */
  theirs: (keyof V & string)[];
  /** Changed by oneself alone, or by both to the same. */
  mine: (keyof V & string)[];
};

export function overtaken<V extends Values>(before: V, mine: V, theirs: V): Overtaken<V> {
  const [ours, others] = [changed(before, mine), changed(before, theirs)];
  const names = Object.keys(before) as (keyof V & string)[];
  return {
    clashes: names.filter((name) => name in ours && name in others && !same(mine[name], theirs[name])),
    theirs: names.filter((name) => name in others && !(name in ours)),
    mine: names.filter((name) => name in ours && (!(name in others) || same(mine[name], theirs[name]))),
  };
}
