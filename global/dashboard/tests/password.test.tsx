import { screen, waitFor, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { PASSWORD, world as freshWorld } from '../mock/world.js';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

const NEW = 'a much longer password';

async function at(path: string, email: string, options?: Parameters<typeof person>[0]) {
  const someone = person(options);
  await someone.enter(email, path);
  return someone;
}

const button = (name: string | RegExp) => screen.getByRole('button', { name });
const field = (label: string) => screen.getByLabelText<HTMLInputElement>(label);
const account = (someone: Awaited<ReturnType<typeof at>>, email: string) => someone.api.world.accounts.find((each) => each.email === email)!;

test('the password is changed from the account, which then has this session alone', async () => {
  const ada = await at('/account', 'ada@acme.example');
  await screen.findByText('Safari on iOS');
  await ada.user.click(screen.getByRole('link', { name: 'Change password…' }));
  expect(await screen.findByText(/All your other sessions end at once/)).toBeTruthy();
  expect(screen.queryByLabelText('Code')).toBeNull(); // no app, so none is asked for
  expect([field('Present password').autocomplete, field('New password').autocomplete]).toEqual(['current-password', 'new-password']);
  await ada.user.type(field('Present password'), PASSWORD);
  await ada.user.type(field('New password'), `${NEW}{Enter}`);
  expect(await screen.findByText(/signed in here alone/)).toBeTruthy();
  expect(ada.path()).toBe('/account');
  const sessions = within(await screen.findByRole('table', { name: 'Sessions' }));
  await waitFor(() => expect(sessions.getAllByRole('rowheader')).toHaveLength(1));
  expect(sessions.getByText('This one')).toBeTruthy();
  expect(account(ada, 'ada@acme.example').password).toBe(NEW);
});

test('each wrong value is said beside its field, before the server is asked and after', async () => {
  const ada = await at('/account/password', 'ada@acme.example');
  await screen.findByLabelText('New password');
  expect(screen.getByText(/At least 15 characters, or 12 where your tenant asks for a second factor/)).toBeTruthy();
  await ada.user.type(field('New password'), 'eleven char{Enter}');
  expect(screen.getByRole('alert').textContent).toContain('Present password: Enter your present password.');
  expect(screen.getByRole('alert').textContent).toContain('New password: Too short: 11 of at least 12 characters.');
  expect(document.activeElement).toBe(field('Present password'));
  expect(ada.calls).not.toContain('POST /v1/me/password');

  await ada.user.type(field('Present password'), 'not this one');
  await ada.user.type(field('New password'), ' and more of them{Enter}');
  expect((await screen.findByRole('alert')).textContent).toContain('nothing was changed');
  expect(ada.path()).toBe('/account/password'); // a wrong password is not the end of the session
  expect(field('New password').value).toBe('eleven char and more of them');

  await ada.user.clear(field('Present password'));
  await ada.user.type(field('Present password'), PASSWORD);
  await ada.user.clear(field('New password'));
  await ada.user.type(field('New password'), 'twelve chars{Enter}');
  await waitFor(() => expect(field('New password').getAttribute('aria-invalid')).toBe('true'));
  expect(screen.getByRole('alert').textContent).toContain('New password: Has fewer than 15 characters.');
  expect(document.activeElement).toBe(field('New password'));
});

test('where the tenant asks for a second factor twelve characters are enough', async () => {
  const world = freshWorld();
  const dora = world.accounts.find(({ email }) => email === 'dora@provider.example')!;
  world.settings[dora.memberships[0]!.tenant.id] = { second_factor: 'required' };
  const someone = await at('/account/password', dora.email, { world });
  await screen.findByLabelText('New password');
  await someone.user.type(field('Present password'), PASSWORD);
  await someone.user.type(field('New password'), 'twelve chars{Enter}');
  expect(screen.getByRole('alert').textContent).toContain('Code: Enter a code.');
  expect(document.activeElement).toBe(field('Code'));
  await someone.user.type(field('Code'), '000000{Enter}');
  expect((await screen.findByRole('alert')).textContent).toContain('The password or the code is not right');
  await someone.user.clear(field('Code'));
  await someone.user.type(field('Code'), 'abcd-efgh-jkmn-pqrs{Enter}'); // a recovery code does too
  expect(await screen.findByText(/signed in here alone/)).toBeTruthy();
  expect(dora.password).toBe('twelve chars');
});

test('a form that was begun is not left by a slip', async () => {
  const ada = await at('/account/password', 'ada@acme.example');
  await ada.user.type(await screen.findByLabelText('New password'), 'begun');
  await ada.user.click(button('Cancel'));
  expect(await screen.findByRole('dialog', { name: 'Leave this page?' })).toBeTruthy();
  await ada.user.click(button('Leave'));
  await waitFor(() => expect(ada.path()).toBe('/account'));
});
