import { screen } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { globex } from '../mock/world.js';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

const membership = { id: 'mem_guest', tenant: globex, roles: ['auditor'], regions: [], created_at: '2026-03-01T12:00:00Z' };

test('somebody new chooses a password, as long as the tenant asks for, and comes in', async () => {
  const guest = person();
  guest.api.invitations.set('inv-1', { email: 'new@elsewhere.example', membership, strict: true });
  await guest.open('/invite#inv-1');
  const field = await screen.findByLabelText<HTMLInputElement>('Password');
  expect(field.autocomplete).toBe('new-password');
  expect(screen.getByText(/At least 12 characters/)).toBeTruthy();
  await guest.user.type(field, 'short{Enter}');
  expect(screen.getByText('Too short: 5 of at least 12 characters.')).toBeTruthy();
  await guest.user.clear(field);
  await guest.user.type(field, 'twelve-words{Enter}');
  expect(await screen.findByRole('heading', { name: 'You are in Globex' })).toBeTruthy();
  expect(screen.getByRole<HTMLAnchorElement>('link', { name: 'Go to sign-in' }).getAttribute('href')).toBe('/sign-in');
  expect(guest.api.world.accounts.find(({ email }) => email === 'new@elsewhere.example')?.memberships).toEqual([membership]);
});

test('who has an account is asked for no password', async () => {
  const ada = person();
  ada.api.invitations.set('inv-2', { email: 'ada@acme.example', membership });
  await ada.open('/invite#inv-2');
  expect(await screen.findByRole('heading', { name: 'Work in Globex' })).toBeTruthy();
  expect(screen.queryByLabelText('Password')).toBeNull();
  await ada.user.click(screen.getByRole('button', { name: 'Accept' }));
  expect(await screen.findByRole('heading', { name: 'You are in Globex' })).toBeTruthy();
  expect(ada.api.invitations.size).toBe(0);
});

test('a link that is over, or has no token, says so', async () => {
  for (const path of ['/invite#old', '/invite']) {
    const guest = person();
    document.body.replaceChildren();
    await guest.open(path);
    expect(await screen.findByRole('heading', { name: 'This invitation is over' })).toBeTruthy();
  }
});
