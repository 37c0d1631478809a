import { screen, waitFor, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { FIRST_CODE } from '../mock/api.js';
import { PASSWORD, world as freshWorld } from '../mock/world.js';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

async function at(path: string, email: string, options?: Parameters<typeof person>[0]) {
  const someone = person(options);
  await someone.enter(email, path);
  return someone;
}

const button = (name: string | RegExp) => screen.getByRole('button', { name });

test('one’s sessions: this one is marked and cannot be ended here, another one can, and all others can', async () => {
  const ada = await at('/account', 'ada@acme.example');
  await screen.findByText('exarch command line');
  const table = within(screen.getByRole('table', { name: 'Sessions' }));
  expect(table.getAllByRole('rowheader')).toHaveLength(3);
  const mine = within(table.getByRole('row', { name: /This one/ }));
  expect(mine.queryByRole('button')).toBeNull();
  await ada.user.click(button('End the session of Safari on iOS'));
  await waitFor(() => expect(table.getAllByRole('rowheader')).toHaveLength(2));
  await ada.user.click(button('End all others…'));
  await ada.user.click(button('End all others'));
  expect(await screen.findByText('One session is over.')).toBeTruthy();
  await waitFor(() => expect(table.getAllByRole('rowheader')).toHaveLength(1));
  expect(screen.queryByRole('button', { name: 'End all others…' })).toBeNull();
});

test('an app is set up with the password and a first code; a wrong password is said beside it and signs nobody out', async () => {
  const ada = await at('/account', 'ada@acme.example');
  await ada.user.click(await screen.findByRole('button', { name: 'Set up an app…' }));
  await ada.user.type(screen.getByLabelText('Password'), 'not it{Enter}');
  expect((await screen.findByRole('alert')).textContent).toContain('nothing was changed');
  expect(ada.path()).toBe('/account');
  await ada.user.clear(screen.getByLabelText('Password'));
  await ada.user.type(screen.getByLabelText('Password'), `${PASSWORD}{Enter}`);
  expect(await screen.findByLabelText('Key')).toBeTruthy();
  await ada.user.type(screen.getByLabelText('Six-digit code of the app'), '000000{Enter}');
  expect((await screen.findByRole('alert')).textContent).toContain('The code is not right');
  await ada.user.clear(screen.getByLabelText('Six-digit code of the app'));
  await ada.user.type(screen.getByLabelText('Six-digit code of the app'), `${FIRST_CODE}{Enter}`);
  const codes = within(await screen.findByRole('list', { name: 'Recovery codes' }));
  expect(codes.getAllByRole('listitem')).toHaveLength(10);
  await ada.user.click(button('I have kept them'));
  expect(await screen.findByText('In use')).toBeTruthy();
  expect(button('Remove…')).toBeTruthy();
});

test('few recovery codes are warned of, and new ones are made with a code', async () => {
  const dora = await at('/account', 'dora@provider.example');
  expect(await screen.findByText(/Only 1 recovery code is left/)).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'Remove…' })).toBeNull(); // staff cannot be without
  await dora.user.click(button('New recovery codes…'));
  await dora.user.type(screen.getByLabelText('Six-digit code of the app'), '27 18{Enter}');
  expect(screen.getByRole('alert').textContent).toContain('six digits');
  await dora.user.type(screen.getByLabelText('Six-digit code of the app'), '28{Enter}');
  await screen.findByRole('list', { name: 'Recovery codes' });
  await dora.user.click(button('I have kept them'));
  await waitFor(() => expect(screen.queryByText(/recovery code is left/)).toBeNull());
});

test('staff find anybody by the whole address, and end the sessions', async () => {
  const dora = await at('/accounts', 'dora@provider.example');
  await dora.user.type(await screen.findByLabelText('E-mail of the person'), 'nobody@acme.example{Enter}');
  expect((await screen.findByRole('alert')).textContent).toContain('There is no such person.');
  await dora.user.clear(screen.getByLabelText('E-mail of the person'));
  await dora.user.type(screen.getByLabelText('E-mail of the person'), 'ada@acme.example{Enter}');
  await screen.findByText('Safari on iOS');
  expect((await screen.findAllByRole('link', { name: 'Acme Logistics' }))[0]!.getAttribute('href')).toBe('/tenants/acme'); // by its name, though it is not hers
  await dora.user.click(button('End all sessions…'));
  await dora.user.click(button('End all sessions'));
  expect(await screen.findByText('2 sessions are over.')).toBeTruthy();
  expect(await screen.findByText('Signed in nowhere')).toBeTruthy();
});

test('whose role does not reach accounts of others is not led there, and refused', async () => {
  const eli = await at('/accounts', 'eli@provider.example', { world: freshWorld() });
  await eli.user.type(await screen.findByLabelText('E-mail of the person'), 'ada@acme.example{Enter}');
  expect((await screen.findByRole('alert')).textContent).toContain('federation_user.read');
  expect(within(screen.getByRole('navigation', { name: 'Main' })).queryByText('Accounts')).toBeNull();
});

test('an account is disabled with a reason and the address typed, and enabled again; one’s own is not', async () => {
  const dora = await at('/accounts', 'dora@provider.example');
  const find = async (email: string) => {
    await dora.user.clear(await screen.findByLabelText('E-mail of the person'));
    await dora.user.type(screen.getByLabelText('E-mail of the person'), `${email}{Enter}`);
  };
  const disable = async (email: string) => {
    await dora.user.click(await screen.findByRole('button', { name: 'Disable account…' }));
    await dora.user.type(screen.getByLabelText('Reason'), 'A stolen laptop.');
    await dora.user.type(screen.getByLabelText(`Type ${email} to confirm`), email);
    await dora.user.click(button('Disable account'));
  };
  await find('ada@acme.example');
  await disable('ada@acme.example');
  expect(await screen.findByText('Disabled')).toBeTruthy();
  expect(await screen.findByText('Signed in nowhere')).toBeTruthy();
  await dora.user.click(button('Enable account…'));
  await dora.user.type(screen.getByLabelText('Reason'), 'It was found.');
  await dora.user.click(button('Enable account'));
  expect(await screen.findByRole('button', { name: 'Disable account…' })).toBeTruthy();
  expect(dora.api.world.reasons).toEqual(['A stolen laptop.', 'It was found.']);
  await find('dora@provider.example');
  await disable('dora@provider.example');
  expect((await screen.findByRole('alert')).textContent).toContain('your own account');
});
