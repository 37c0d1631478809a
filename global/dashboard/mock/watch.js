// Lists that watch, as the server's do: the page, and then what changed between two looks at it.

const LOOK_MS = 1_000;
const QUIET_MS = 15_000;

/** @typedef {{ items: any[], next_page_token?: string }} Page */

export const wantsEvents = (/** @type {Request} */ request) => request.headers.get('accept')?.includes('text/event-stream') ?? false;

/** @param {any} item */
const keyOf = (item) => item.id ?? item.slug;

/** What leads from one page to the next, the oldest first. @param {Page} before @param {Page} after @returns {[string, any][]} */
export function changes(before, after) {
  const more = after.next_page_token !== undefined;
  const [old, now] = [new Map(before.items.map((item) => [keyOf(item), item])), new Map(after.items.map((item) => [keyOf(item), item]))];
  if (more && before.items.length > 0 && before.items.every((item) => !now.has(keyOf(item)))) return [['page', after]];
  // What newer items pushed off the page is still there.
  const last = more ? before.items.findIndex((item) => keyOf(item) === keyOf(after.items.at(-1))) : -1;
  const insight = last < 0 ? before.items : before.items.slice(0, last + 1);
  return [
    ...insight.filter((item) => !now.has(keyOf(item))).reverse().map((item) => /** @type {[string, any]} */ (['removed', item])),
    ...[...after.items].reverse().flatMap((item) => {
      const was = old.get(keyOf(item));
      if (was === undefined) return [/** @type {[string, any]} */ (['added', item])];
      return JSON.stringify(was) === JSON.stringify(item) ? [] : [/** @type {[string, any]} */ (['changed', item])];
    }),
  ];
}

/**
 * A stream of the list that `look` answers; an answer that is no page ends it.
 * @param {Response} first @param {() => Promise<Response>} look @param {AbortSignal} signal
 */
export async function watched(first, look, signal) {
  /** @type {Page} */ let page = await first.json();
  const encoder = new TextEncoder();
  /** @type {ReturnType<typeof setInterval>} */ let timer;
  const body = new ReadableStream({
    start(controller) {
      let quiet = 0;
      const say = (/** @type {string} */ text) => {
        quiet = 0;
        controller.enqueue(encoder.encode(text));
      };
      const tell = (/** @type {string} */ name, /** @type {unknown} */ data) => say(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
      tell('page', page);
      timer = setInterval(async () => {
        const answer = await look();
        if (signal.aborted) return;
        if (answer.status !== 200) {
          tell('end', await answer.json());
          clearInterval(timer);
          return controller.close();
        }
        const next = await answer.json();
        for (const [name, data] of changes(page, next)) tell(name, data);
        page = next;
        quiet += LOOK_MS;
        if (quiet >= QUIET_MS) say(':\n\n');
      }, LOOK_MS);
      signal.addEventListener('abort', () => {
        clearInterval(timer);
        controller.error(signal.reason);
      });
    },
    cancel: () => clearInterval(timer),
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' } });
}
