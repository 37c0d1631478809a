import { screen, waitFor, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { world as freshWorld } from '../mock/world.js';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

const ADMIN = 'ada@acme.example';

async function at(path: string, email = ADMIN, options?: Parameters<typeof person>[0]) {
  const someone = person(options);
  await someone.enter(email, path);
  return someone;
}

const button = (name: string | RegExp) => screen.getByRole('button', { name });
const membershipOf = (someone: Awaited<ReturnType<typeof at>>, email: string, slug = 'acme') =>
  someone.api.world.accounts.find((account) => account.email === email)?.memberships.find(({ tenant }) => tenant.slug === slug);

test('the people of the tenant in force are listed with their roles, and nobody else', async () => {
  const ada = await at('/people');
  await screen.findByText('Cleo Merode');
  expect(within(screen.getByRole('row', { name: /Gus Mahler/ })).getByText('Read only')).toBeTruthy();
  expect(screen.queryByText('Ben Okri')).toBeNull();
  await ada.user.type(screen.getByRole('searchbox'), 'gus@{Enter}');
  await waitFor(() => expect(screen.queryByText('Cleo Merode')).toBeNull());
  expect(screen.getByText('Gus Mahler')).toBeTruthy();
});

test('who does not administer the tenant is neither led there nor shown anything', async () => {
  await at('/people', 'ben@globex.example');
  expect(await screen.findByText('Your role does not allow this')).toBeTruthy();
  expect(within(screen.getByRole('navigation', { name: 'Main' })).queryByText('People')).toBeNull();
});

test('a new person needs a role, gets an initial password that is shown once, and is in the list', async () => {
  const ada = await at('/new/person');
  await ada.user.type(await screen.findByLabelText('E-mail'), 'new@acme.example');
  await ada.user.type(screen.getByLabelText('Display name'), 'Nina New');
  await ada.user.click(button('Add person'));
  expect(screen.getByRole('alert').textContent).toContain('Roles: Choose at least one role.');
  expect(document.activeElement).toBe(screen.getByRole('checkbox', { name: /Tenant administrator/ }));
  await ada.user.click(screen.getByRole('checkbox', { name: /Auditor/ }));
  await ada.user.click(button('Add person'));
  expect(await screen.findByText('kfmtcb-r8wq3n-7hzyxd-p2vjse')).toBeTruthy();
  await ada.user.click(button('I have kept it'));
  await ada.user.click(screen.getByRole('link', { name: 'Go to people' }));
  const row = within(await screen.findByRole('row', { name: /Nina New/ }));
  expect(row.getByText('Auditor')).toBeTruthy();
});

test('somebody who has an account is added by it, in some regions and for a time', async () => {
  const ada = await at('/new/person');
  await ada.user.type(await screen.findByLabelText('E-mail'), 'ben@globex.example');
  await ada.user.type(screen.getByLabelText('Display name'), 'Ben');
  await ada.user.click(screen.getByRole('checkbox', { name: /Read only/ }));
  await ada.user.click(button('Add person'));
  await ada.user.click(await screen.findByRole('button', { name: 'Add this person by their account' }));
  expect(screen.queryByRole('alert')).toBeNull();
  expect(screen.getByRole<HTMLInputElement>('checkbox', { name: /Read only/ }).checked).toBe(true);
  await ada.user.click(screen.getByRole('radio', { name: /Only some/ }));
  await ada.user.click(button('Add person'));
  expect(screen.getByRole('alert').textContent).toContain('Choose at least one region');
  await ada.user.click(screen.getByRole('checkbox', { name: /US East/ }));
  await ada.user.type(screen.getByLabelText('Until'), '2099-06-01T12:00');
  await ada.user.click(button('Add person'));
  expect(await screen.findByRole('heading', { level: 1, name: 'Ben Okri' })).toBeTruthy();
  expect(await screen.findByText('US East')).toBeTruthy();
  expect(membershipOf(ada, 'ben@globex.example')).toMatchObject({ only: ['reg_us-east'], until: new Date('2099-06-01T12:00').toISOString() });
});

test('somebody is invited by mail, and nothing is shown to be passed on', async () => {
  const ada = await at('/new/person');
  await ada.user.click(await screen.findByRole('radio', { name: /An invitation by mail/ }));
  await ada.user.type(screen.getByLabelText('E-mail'), 'guest@elsewhere.example');
  await ada.user.type(screen.getByLabelText('Display name'), 'Guest');
  await ada.user.click(screen.getByRole('checkbox', { name: /Read only/ }));
  await ada.user.click(button('Add person'));
  expect(await screen.findByText('An invitation is on its way to guest@elsewhere.example.')).toBeTruthy();
  expect(membershipOf(ada, 'guest@elsewhere.example')).toBeUndefined();
});

test('where no mail is sent, the way that is left is offered, and nobody is told to wait', async () => {
  const world = freshWorld();
  world.mail = false;
  const ada = await at('/new/person', ADMIN, { world });
  await ada.user.click(await screen.findByRole('radio', { name: /An invitation by mail/ }));
  await ada.user.type(screen.getByLabelText('E-mail'), 'guest@elsewhere.example');
  await ada.user.type(screen.getByLabelText('Display name'), 'Guest');
  await ada.user.click(screen.getByRole('checkbox', { name: /Read only/ }));
  await ada.user.click(button('Add person'));
  expect((await screen.findByRole('alert')).textContent).toMatch(/sends no mail(?!.*try again)/);
  await ada.user.click(button('Make an account with an initial password'));
  expect(screen.queryByRole('alert')).toBeNull();
  expect(screen.getByRole<HTMLInputElement>('radio', { name: /A new account/ }).checked).toBe(true);
  await ada.user.click(button('Add person'));
  expect(await screen.findByRole('heading', { level: 1, name: 'Guest is added' })).toBeTruthy();
  expect(screen.getByText('kfmtcb-r8wq3n-7hzyxd-p2vjse')).toBeTruthy();
});

test('a membership ends when the address was typed, and the last administrator’s does not', async () => {
  const ada = await at('/people');
  await ada.user.click(await screen.findByRole('link', { name: 'Cleo Merode' }));
  await ada.user.click(await screen.findByRole('button', { name: 'End membership…' }));
  await ada.user.type(screen.getByLabelText('Type cleo@acme.example to confirm'), 'cleo@acme.example');
  await ada.user.click(button('End membership'));
  expect(await screen.findByText('Cleo Merode is no longer a member.')).toBeTruthy();
  expect(membershipOf(ada, 'cleo@acme.example')).toBeUndefined();
  expect(membershipOf(ada, 'cleo@acme.example', 'globex')).toBeTruthy();

  await ada.user.click(await screen.findByRole('link', { name: 'Ada Byron' }));
  await ada.user.click(await screen.findByRole('button', { name: 'End membership…' }));
  expect(screen.getByRole('dialog', { name: 'Leave Acme Logistics' })).toBeTruthy();
  await ada.user.type(screen.getByLabelText('Type ada@acme.example to confirm'), 'ada@acme.example');
  await ada.user.click(button('End membership'));
  expect((await screen.findByRole('alert')).textContent).toContain('last administrator');
});

test('a member’s sessions in this tenant are shown and ended, one or all', async () => {
  const ada = await at('/people');
  await ada.user.click(await screen.findByRole('link', { name: 'Cleo Merode' }));
  await screen.findByText('Chrome on Windows');
  await ada.user.click(button('End the session of Chrome on Windows'));
  expect(await screen.findByText('Signed in nowhere')).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'End all sessions…' })).toBeNull();
});

test('a membership that ended meanwhile is not there', async () => {
  await at('/people/mem_0', ADMIN, { world: freshWorld() });
  expect(await screen.findByRole('heading', { level: 1, name: 'There is nothing here' })).toBeTruthy();
});
