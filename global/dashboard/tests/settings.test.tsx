import { screen, waitFor } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { acme, world as freshWorld } from '../mock/world.js';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

/** Ada, who administers Acme; with an app of her own unless told otherwise. */
async function settings({ app = true, demand = 'optional' as 'optional' | 'required' } = {}) {
  const world = freshWorld();
  const ada = world.accounts.find(({ email }) => email === 'ada@acme.example')!;
  if (app) Object.assign(ada, { totp: '141421', totpSince: new Date().toISOString(), recovery: [] });
  world.settings[acme.id] = { second_factor: demand };
  const someone = person({ world });
  await someone.enter(ada.email, '/settings');
  return someone;
}

const button = (name: string | RegExp) => screen.getByRole('button', { name });

test('a tenant begins to require a second factor once it was read whom that asks', async () => {
  const ada = await settings();
  expect(await screen.findByText('Optional')).toBeTruthy();
  expect(screen.getByText('15 characters at least')).toBeTruthy();
  await ada.user.click(button('Require it of everybody…'));
  const dialog = screen.getByRole('dialog', { name: 'Require a second factor in Acme Logistics' });
  expect(dialog.textContent).toContain('Whoever signed in without a code is signed out of the tenant at once');
  expect(dialog.textContent).toContain('At the next sign-in everybody who has no app is led to set one up');
  await ada.user.click(button('Require it'));
  expect(await screen.findByText('Acme Logistics asks everybody for a second factor now.')).toBeTruthy();
  expect(await screen.findByText('Required')).toBeTruthy();
  expect(screen.getByText('Sets one up at the next sign-in')).toBeTruthy();
  expect(screen.getByText('12 characters at least')).toBeTruthy();
  expect(ada.api.world.settings[acme.id]).toEqual({ second_factor: 'required' });
});

test('who has no second factor cannot ask others for one, and is led to an own', async () => {
  const ada = await settings({ app: false });
  await ada.user.click(await screen.findByRole('button', { name: 'Require it of everybody…' }));
  await ada.user.click(button('Require it'));
  expect((await screen.findByRole('alert')).textContent).toContain('Enrol a second factor of your own');
  await ada.user.click(screen.getByRole('link', { name: 'Go to your account' }));
  await waitFor(() => expect(ada.path()).toBe('/account'));
});

test('it is made optional again, and what that opens is said', async () => {
  const ada = await settings({ demand: 'required' });
  await ada.user.click(await screen.findByRole('button', { name: 'Make it optional…' }));
  expect(screen.getByRole('dialog').textContent).toContain('Who has no app signs in with the password alone');
  await ada.user.click(button('Make it optional'));
  expect(await screen.findByText('Optional')).toBeTruthy();
});

test('a change by somebody else is seen', async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  try {
    const ada = await settings();
    await screen.findByText('Optional');
    ada.api.world.settings[acme.id] = { second_factor: 'required' };
    await vi.advanceTimersByTimeAsync(16_000);
    expect(await screen.findByText('Required')).toBeTruthy();
  } finally {
    vi.useRealTimers();
  }
});

test('whose role does not hold the settings is not led there, and refused', async () => {
  const ben = person();
  await ben.enter('ben@globex.example', '/settings');
  expect(await screen.findByText('Your role does not allow this')).toBeTruthy();
  expect(screen.queryByRole('link', { name: 'Settings' })).toBeNull();
});
