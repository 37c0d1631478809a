// Whether something was typed on the page that leaving it would lose.

const guards = new Set<() => boolean>();

/** Until the function that it answers is called. */
export function guard(when: () => boolean): () => void {
  guards.add(when);
  return () => void guards.delete(when);
}

export const anythingUnsaved = (): boolean => [...guards].some((when) => when());
