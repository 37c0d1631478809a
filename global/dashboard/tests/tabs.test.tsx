// Another tab of the same browser switches the tenant, or somebody else signs in there.
import { act, screen, waitFor, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { acme, globex, PASSWORD, world as freshWorld } from '../mock/world.js';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

/** Cleo administers both of her tenants, and is in Acme. */
async function cleoAt(path: string) {
  const world = freshWorld();
  for (const membership of world.accounts.find(({ id }) => id === 'usr_cleo')!.memberships) membership.roles = ['tenant-admin'];
  const cleo = person({ world });
  await cleo.enter('cleo@acme.example', path);
  return cleo;
}

type Someone = Awaited<ReturnType<typeof cleoAt>>;

const switched = (someone: Someone) => someone.elsewhere('/v1/me/tenant', { tenant: globex.id });
/** The page asks again, as it does when somebody comes back to it. */
const lookedAt = () => act(async () => void window.dispatchEvent(new Event('visibilitychange')));
const writes = (someone: Someone) => someone.calls.filter((call) => !call.startsWith('GET'));
const rolesOf = (someone: Someone, tenant: string) => (someone.api.world.roles[tenant] ?? []).map(({ name }) => name);

async function typed(cleo: Someone) {
  await cleo.user.type(await screen.findByLabelText('Name'), 'watcher');
  await cleo.user.click(await screen.findByRole('checkbox', { name: /host\.list/ }));
}

test('a page whose tenant was switched in another tab sends nothing, says so, and keeps what was typed for the way back', async () => {
  const cleo = await cleoAt('/new/role');
  await typed(cleo);
  await switched(cleo);
  await cleo.user.click(screen.getByRole('button', { name: 'Make role' }));
  const dialog = within(await screen.findByRole('dialog', { name: 'You work in Globex now' }));
  expect(writes(cleo)).toEqual([]);
  expect(dialog.getByText(/This page is still of Acme Logistics.*kept|here if you switch back/)).toBeTruthy();
  await cleo.user.click(dialog.getByRole('button', { name: 'Switch back to Acme Logistics' }));
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  expect(screen.getByLabelText<HTMLInputElement>('Name').value).toBe('watcher');
  await cleo.user.click(screen.getByRole('button', { name: 'Make role' }));
  expect(await screen.findByRole('heading', { level: 1, name: 'watcher' })).toBeTruthy();
  expect(rolesOf(cleo, acme.id)).toContain('watcher');
  expect(rolesOf(cleo, globex.id)).toEqual([]);
});

test('who goes on in the other tenant has nothing of the former on the page', async () => {
  const cleo = await cleoAt('/new/role');
  await typed(cleo);
  await switched(cleo);
  await lookedAt();
  await cleo.user.click(await screen.findByRole('button', { name: 'Go on in Globex' }));
  expect(await screen.findByText('What can be given to people of Globex.')).toBeTruthy();
  expect(cleo.path()).toBe('/roles');
  await screen.findByRole('link', { name: 'Auditor' });
  expect(screen.queryByText('release-crew')).toBeNull();
  expect(screen.getByText('You now work in Globex.')).toBeTruthy();
});

test('a list is not shown under the name of another tenant, and its end in the former session signs nobody out', async () => {
  const cleo = await cleoAt('/roles');
  await screen.findByText('release-crew');
  await waitFor(() => expect(screen.getByText(/Live, as of/)).toBeTruthy());
  await switched(cleo);
  // the stream ends with its session, and what asks again is told of the other one
  await lookedAt();
  const dialog = await screen.findByRole('dialog', { name: 'You work in Globex now' });
  expect(screen.getByText('release-crew')).toBeTruthy();
  const asked = cleo.calls.length;
  await new Promise((done) => setTimeout(done, 1_500));
  expect(cleo.calls.slice(asked).filter((call) => !/\/v1\/(me|permissions)$/.test(call))).toEqual([]);
  expect(cleo.path()).toBe('/roles');
  await cleo.user.click(within(dialog).getByRole('button', { name: 'Switch back to Acme Logistics' }));
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  expect(await screen.findByText('release-crew')).toBeTruthy();
});

test('the question is not waved away by Escape', async () => {
  const cleo = await cleoAt('/roles');
  await screen.findByText('release-crew');
  await switched(cleo);
  await lookedAt();
  const dialog = await screen.findByRole<HTMLDialogElement>('dialog');
  act(() => dialog.close());
  expect(dialog.open).toBe(true);
});

test('somebody else who signed in in another tab is named, and gets nothing of what was typed', async () => {
  const cleo = await cleoAt('/new/role');
  await typed(cleo);
  await cleo.elsewhere('/v1/auth/sign-in', { email: 'ada@acme.example', password: PASSWORD, session: 'cookie' });
  await cleo.user.click(screen.getByRole('button', { name: 'Make role' }));
  const dialog = within(await screen.findByRole('dialog', { name: 'ada@acme.example is signed in now' }));
  expect(dialog.queryByRole('button', { name: /Switch back/ })).toBeNull();
  expect(writes(cleo)).toEqual([]);
  await cleo.user.click(dialog.getByRole('button', { name: 'Go on as ada@acme.example' }));
  expect(await screen.findByText('What can be given to people of Acme Logistics.')).toBeTruthy();
  expect(rolesOf(cleo, acme.id)).not.toContain('watcher');
});

test('what is typed is told to be lost before this very tab switches', async () => {
  const cleo = await cleoAt('/new/role');
  await typed(cleo);
  await cleo.user.click(screen.getByRole('button', { name: /Acme Logistics/ }));
  const dialog = within(await screen.findByRole('dialog', { name: 'Switch tenant' }));
  expect(dialog.getByText(/What you typed on this page is not saved/)).toBeTruthy();
  await cleo.user.click(dialog.getByRole('button', { name: 'Switch' }));
  expect(await screen.findByText('What can be given to people of Globex.')).toBeTruthy();
  expect(screen.queryByRole('dialog')).toBeNull();
});
