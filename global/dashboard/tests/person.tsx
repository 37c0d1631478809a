// A person at a browser: a cookie jar over the mock API, and the app at some address.
import { createMemoryHistory } from '@tanstack/react-router';
import { act, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { vi } from 'vitest';
import { mockApi } from '../mock/api.js';
import { PASSWORD, world as freshWorld } from '../mock/world.js';
import { createApp } from '../src/app';

type Options = { world?: ReturnType<typeof freshWorld> };

export function person({ world = freshWorld() }: Options = {}) {
  const api = mockApi({ world });
  const jar = new Map<string, string>();
  const calls: string[] = [];
  let offline = false;
  let line = new AbortController();
  const self = {
    api,
    calls,
    /** While true no call reaches the server; what is under way breaks off. */
    get offline() {
      return offline;
    },
    set offline(now: boolean) {
      offline = now;
      if (now) self.cut();
    },
    /** Breaks off every stream. */
    cut: () => {
      line.abort();
      line = new AbortController();
    },
    /** Stands between the browser and the mock; undefined lets the call through. */
    between: undefined as ((request: Request) => Response | Promise<Response> | undefined) | undefined,
    path: () => self.router!.latestLocation.href,
    router: undefined as ReturnType<typeof createApp>['router'] | undefined,
    elsewhere,
    open,
    signIn,
    enter,
    user: userEvent.setup({ advanceTimers: (ms) => vi.isFakeTimers() ? void vi.advanceTimersByTime(ms) : undefined }),
  };

  vi.stubGlobal('fetch', async (given: Request) => {
    calls.push(`${given.method} ${new URL(given.url).pathname}`);
    if (self.offline) throw new TypeError('Failed to fetch');
    const headers = new Headers(given.headers);
    headers.set('cookie', [...jar].map(([name, value]) => `${name}=${value}`).join('; '));
    const body = given.method === 'GET' ? undefined : await given.text();
    const request = new Request(given.url, { method: given.method, headers, body: body || undefined, signal: AbortSignal.any([given.signal, line.signal]) });
    const response = (await self.between?.(request)) ?? (await api.handle(request));
    keep(response);
    return response;
  });

  function keep(response: Response): void {
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (value) jar.set(name, value);
      else jar.delete(name);
    }
  }

  /** What another tab of the same browser sends. */
  async function elsewhere(path: string, body: object): Promise<void> {
    const headers = { 'content-type': 'application/json', cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') };
    keep(await api.handle(new Request(`${location.origin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })));
  }

  async function open(path: string): Promise<void> {
    const app = createApp({
      history: createMemoryHistory({ initialEntries: [path] }),
      leave: (to) => {
        view.unmount();
        void open(to);
      },
    });
    self.router = app.router;
    await app.router.load();
    const view = render(<app.App />);
    await act(async () => {});
  }

  async function signIn(email: string, password = PASSWORD): Promise<void> {
    const address = await screen.findByLabelText('E-mail');
    await self.user.clear(address);
    await self.user.type(address, email);
    await self.user.clear(screen.getByLabelText('Password'));
    await self.user.type(screen.getByLabelText('Password'), `${password}{Enter}`);
  }

  /** Signed in already, without the form, at some address. Who has several tenants is in the first. */
  async function enter(email: string, path: string): Promise<void> {
    const post = async (to: string, body: object): Promise<{ ticket?: string; next?: string }> => {
      const headers = { 'content-type': 'application/json' };
      return (await fetch(new Request(`${location.origin}${to}`, { method: 'POST', headers, body: JSON.stringify(body) }))).json();
    };
    const account = world.accounts.find((each) => each.email === email)!;
    let answer = await post('/v1/auth/sign-in', { email, password: account.password, session: 'cookie' });
    while (answer.next) {
      const given = answer.next === 'second-factor' ? { totp: account.totp } : { tenant: account.memberships[0]!.tenant.id };
      answer = await post('/v1/auth/next', { ticket: answer.ticket, ...given });
    }
    calls.length = 0;
    await open(path);
  }

  return self;
}
