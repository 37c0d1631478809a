import { fireEvent, screen, waitFor, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { FIRST_CODE } from '../mock/api.js';
import { PASSWORD } from '../mock/world.js';
import { person } from './person';

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const alert = () => screen.findByRole('alert');

test('a person with one tenant signs in and sees the regions of that tenant', async () => {
  const ada = person();
  await ada.open('/sign-in');
  await ada.signIn('ada@acme.example');
  expect(await screen.findByText('EU North')).toBeTruthy();
  expect(screen.getByText('US East')).toBeTruthy();
  expect(screen.queryByText('AP South')).toBeNull();
  expect(within(screen.getByRole('banner')).getByText('Acme Logistics')).toBeTruthy();
  expect(ada.path()).toBe('/');
});

test('the form is one that password managers know', async () => {
  await person().open('/sign-in');
  const email = await screen.findByLabelText<HTMLInputElement>('E-mail');
  const password = screen.getByLabelText<HTMLInputElement>('Password');
  expect([email.autocomplete, password.autocomplete, password.type]).toEqual(['username', 'current-password', 'password']);
  expect(email.form).toBe(password.form);
  expect(email.form?.method).toBe('post'); // so that not even a broken page puts a password into an address
  expect(document.activeElement).toBe(email);
});

test('a wrong password and an unknown address get the same sentence, whatever the server said', async () => {
  const someone = person();
  await someone.open('/sign-in');
  await someone.signIn('ada@acme.example', 'not the password');
  const wrong = (await alert()).textContent;
  await someone.signIn('nobody@acme.example', 'not the password');
  await waitFor(() => expect(someone.calls.filter((call) => call.endsWith('/sign-in'))).toHaveLength(2));
  expect((await alert()).textContent).toBe(wrong);
  expect(wrong).not.toMatch(/unknown|locked|disabled|wrong/i);
  const password = screen.getByLabelText<HTMLInputElement>('Password');
  expect(document.activeElement).toBe(password);
  expect(password.selectionEnd).toBe('not the password'.length);
});

test('empty fields are named and nothing is sent', async () => {
  const someone = person();
  await someone.open('/sign-in');
  await someone.user.click(await screen.findByRole('button', { name: 'Sign in' }));
  expect(screen.getByLabelText('E-mail').getAttribute('aria-invalid')).toBe('true');
  expect(screen.getByText('Enter your password.')).toBeTruthy();
  expect(someone.calls).toEqual([]);
});

test('too many tries say when to try again, and the button waits until then', async () => {
  vi.useFakeTimers({ now: Date.parse('2026-03-01T12:00:00Z'), shouldAdvanceTime: true });
  const someone = person();
  await someone.open('/sign-in');
  someone.between = () =>
    new Response(JSON.stringify({ type: 'urn:exarch:problem:too-many-requests', title: 'x', status: 429 }), {
      status: 429,
      headers: { 'retry-after': '30', 'content-type': 'application/problem+json' },
    });
  await someone.signIn('ada@acme.example');
  expect((await alert()).textContent).toMatch(/Too many tries.*try again at \d\d:\d\d:\d\d\./);
  const button = screen.getByRole('button', { name: /Try again in \d+ s/ });
  expect(button.getAttribute('aria-disabled')).toBe('true');
  fireEvent.submit(button.closest('form')!);
  expect(someone.calls).toHaveLength(1);
  someone.between = undefined;
  await vi.advanceTimersByTimeAsync(31_000);
  fireEvent.submit(screen.getByRole('button', { name: 'Sign in' }).closest('form')!);
  expect(await screen.findByText('EU North')).toBeTruthy();
});

test('an unreachable server is told apart from a refusal', async () => {
  const someone = person();
  await someone.open('/sign-in');
  await screen.findByLabelText('E-mail');
  someone.offline = true;
  await someone.signIn('ada@acme.example');
  expect((await alert()).textContent).toMatch(/could not be reached/);
  someone.offline = false;
  await someone.signIn('ada@acme.example');
  expect(await screen.findByText('EU North')).toBeTruthy();
});

test('with several tenants the arrow keys choose one and Enter goes on', async () => {
  const cleo = person();
  await cleo.open('/sign-in');
  await cleo.signIn('cleo@acme.example');
  expect(await screen.findByRole('heading', { name: 'Choose a tenant' })).toBeTruthy();
  expect(document.activeElement).toBe(screen.getByRole('radio', { name: /Acme Logistics/ }));
  await cleo.user.keyboard('{ArrowDown}');
  expect(screen.getByRole<HTMLInputElement>('radio', { name: /Globex/ }).checked).toBe(true);
  await cleo.user.keyboard('{Enter}');
  expect(await screen.findByText('EU West')).toBeTruthy();
  expect(within(screen.getByRole('banner')).getByText('Globex')).toBeTruthy();
});

test('a second factor is asked for, refused when wrong, and taken with spaces', async () => {
  const dora = person();
  await dora.open('/sign-in');
  await dora.signIn('dora@provider.example');
  const code = await screen.findByLabelText<HTMLInputElement>('Six-digit code');
  expect(code.autocomplete).toBe('one-time-code');
  await dora.user.type(code, '12345{Enter}');
  expect(screen.getByText('The code has six digits.')).toBeTruthy();
  await dora.user.clear(code);
  await dora.user.type(code, '000000{Enter}');
  expect((await alert()).textContent).toMatch(/The code is not right/);
  await dora.user.clear(code);
  await dora.user.type(code, '271 828{Enter}');
  expect(await screen.findByRole('heading', { name: 'Federation' })).toBeTruthy();
});

test('a recovery code takes the place of the app, once', async () => {
  const dora = person();
  await dora.open('/sign-in');
  await dora.signIn('dora@provider.example');
  await dora.user.click(await screen.findByRole('button', { name: 'Use a recovery code' }));
  const field = await screen.findByLabelText<HTMLInputElement>('Recovery code');
  await dora.user.type(field, '{Enter}');
  expect(screen.getByText('Enter a recovery code.')).toBeTruthy();
  await dora.user.type(field, 'abcd-efgh-jkmn-pqrs{Enter}');
  expect(await screen.findByRole('heading', { name: 'Federation' })).toBeTruthy();
});

test('who needs a second factor enrols one, sees the recovery codes, and only then goes on', async () => {
  const hal = person();
  await hal.open('/sign-in');
  await hal.signIn('hal@provider.example');
  expect(await screen.findByRole('heading', { name: 'Set up a second factor' })).toBeTruthy();
  expect(screen.getByLabelText('Key').textContent).toBe('GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ');
  expect(screen.getByRole<HTMLAnchorElement>('link').href).toMatch(/^otpauth:\/\/totp\//);
  const code = screen.getByLabelText<HTMLInputElement>('Six-digit code');
  await hal.user.type(code, '000000{Enter}');
  expect((await alert()).textContent).toMatch(/The code is not right/);
  await hal.user.clear(code);
  await hal.user.type(code, `${FIRST_CODE}{Enter}`);
  const codes = await screen.findByRole('list', { name: 'Recovery codes' });
  expect(within(codes).getAllByRole('listitem')).toHaveLength(10);
  expect(screen.queryByRole('heading', { name: 'Federation' })).toBeNull();
  await hal.user.click(screen.getByRole('button', { name: 'I have kept them' }));
  expect(await screen.findByRole('heading', { name: 'Federation' })).toBeTruthy();
});

test('a password that must be changed is changed before anything else', async () => {
  const gus = person();
  await gus.open('/sign-in');
  await gus.signIn('gus@acme.example');
  const field = await screen.findByLabelText<HTMLInputElement>('New password');
  expect(field.autocomplete).toBe('new-password');
  await gus.user.type(field, 'short{Enter}');
  expect(screen.getByText(/Too short: 5 of at least 12/)).toBeTruthy();
  await gus.user.clear(field);
  await gus.user.type(field, 'twelve chars{Enter}');
  expect((await alert()).textContent).toMatch(/at least 15 characters/);
  await gus.user.clear(field);
  await gus.user.type(field, 'a much longer password{Enter}');
  expect(await screen.findByText('No region to enter')).toBeTruthy();
});

test('a ticket that ran out leads back to the password', async () => {
  const dora = person();
  await dora.open('/sign-in');
  await dora.signIn('dora@provider.example');
  const code = await screen.findByLabelText('Six-digit code');
  dora.between = () =>
    new Response(JSON.stringify({ type: 'urn:exarch:problem:ticket-expired', title: 'x', status: 401 }), { status: 401 });
  await dora.user.type(code, '271828{Enter}');
  expect((await alert()).textContent).toMatch(/took too long/);
  expect(screen.getByLabelText<HTMLInputElement>('E-mail').value).toBe('dora@provider.example');
});

test('who belongs to no tenant is told so', async () => {
  const finn = person();
  await finn.open('/sign-in');
  await finn.signIn('finn@nowhere.example');
  expect((await alert()).textContent).toMatch(/You belong to no tenant/);
  await finn.user.click(screen.getByRole('button', { name: 'Sign in as someone else' }));
  expect(await screen.findByLabelText('E-mail')).toBeTruthy();
});

test('a step of a newer server says so in place of an empty page', async () => {
  const someone = person();
  await someone.open('/sign-in');
  someone.between = () => new Response(JSON.stringify({ status: 'next', next: 'retina-scan', ticket: 't' }));
  await someone.signIn('ada@acme.example', PASSWORD);
  expect((await alert()).textContent).toMatch(/A step this page does not know/);
});

test('signing in returns to where the session was missing, and never to another site', async () => {
  const ada = person();
  await ada.open('/?from=link');
  await screen.findByLabelText('E-mail');
  expect(ada.path()).toBe('/sign-in?return=%2F%3Ffrom%3Dlink');
  await ada.signIn('ada@acme.example');
  expect(await screen.findByText('EU North')).toBeTruthy();
  expect(ada.path()).toBe('/?from=link');

  const ben = person();
  await ben.open('/sign-in?return=%2F%2Fevil.example%2F');
  await waitFor(() => expect(screen.getAllByLabelText('E-mail')).toHaveLength(1));
  await ben.signIn('ben@globex.example');
  await waitFor(() => expect(ben.path()).toBe('/'));
});
