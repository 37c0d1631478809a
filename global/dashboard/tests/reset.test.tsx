import { screen } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

test('a link by mail is asked for, and known and unknown addresses are answered alike', async () => {
  const ada = person();
  await ada.open('/sign-in');
  expect((await screen.findByRole<HTMLAnchorElement>('link', { name: 'Forgot your password?' })).getAttribute('href')).toBe('/reset-password');
  for (const email of ['ada@acme.example', 'nobody@acme.example']) {
    const someone = person();
    document.body.replaceChildren();
    await someone.open('/reset-password');
    const field = await screen.findByLabelText('E-mail');
    await someone.user.type(field, '{Enter}');
    expect(screen.getByText('Enter your e-mail address.')).toBeTruthy();
    await someone.user.type(field, `${email}{Enter}`);
    expect(await screen.findByRole('heading', { name: 'Look into your mail' })).toBeTruthy();
    expect(someone.api.resets.size).toBe(email.startsWith('ada') ? 1 : 0);
  }
});

test('the token of a mail sets a new password once', async () => {
  const ada = person();
  ada.api.resets.set('reset-1', 'ada@acme.example');
  await ada.open('/reset-password#reset-1');
  const field = await screen.findByLabelText<HTMLInputElement>('New password');
  expect(field.autocomplete).toBe('new-password');
  await ada.user.type(field, 'short{Enter}');
  expect(screen.getByText('Too short: 5 of at least 12 characters.')).toBeTruthy();
  await ada.user.clear(field);
  await ada.user.type(field, 'shorter than{Enter}');
  expect((await screen.findByRole('alert')).textContent).toMatch(/fewer than 15 characters/);
  await ada.user.clear(field);
  await ada.user.type(field, 'a much longer password{Enter}');
  expect(await screen.findByRole('heading', { name: 'Your password is changed' })).toBeTruthy();
  expect(ada.api.resets.size).toBe(0);
});

test('a link that is over leads to asking again', async () => {
  const ada = person();
  await ada.open('/reset-password#old');
  await ada.user.type(await screen.findByLabelText('New password'), 'a much longer password{Enter}');
  expect(await screen.findByRole('heading', { name: 'Forgot your password?' })).toBeTruthy();
  expect((await screen.findByRole('alert')).textContent).toMatch(/used before/);
});
