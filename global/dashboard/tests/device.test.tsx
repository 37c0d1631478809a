import { screen } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { world as freshWorld } from '../mock/world.js';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

test('a code in the address survives the sign-in; who asks is shown before anybody is let in', async () => {
  const world = freshWorld();
  const ada = person({ world });
  await ada.open('/device?user_code=BCDF-GHJK');
  await ada.signIn('ada@acme.example');
  const code = await screen.findByLabelText<HTMLInputElement>('Code');
  expect(code.value).toBe('BCDF-GHJK');
  await ada.user.click(screen.getByRole('button', { name: 'Continue' }));
  expect(await screen.findByRole('heading', { name: 'Let this program in?' })).toBeTruthy();
  for (const text of ['exarch, the command line', '203.0.113.7', 'exarch/0.1.0', 'ada@acme.example, in Acme Logistics']) {
    expect(screen.getByText(text)).toBeTruthy();
  }
  expect(world.devices[0]?.answer).toBeUndefined();
  await ada.user.click(screen.getByRole('button', { name: 'Let it in' }));
  expect(await screen.findByRole('heading', { name: 'The program is signed in' })).toBeTruthy();
  expect(world.devices[0]?.answer).toBe('approved');
});

test('a code is typed in any spelling, and a program can be refused', async () => {
  const world = freshWorld();
  const ada = person({ world });
  await ada.open('/sign-in?return=%2Fdevice');
  await ada.signIn('ada@acme.example');
  const code = await screen.findByLabelText('Code');
  await ada.user.type(code, '{Enter}');
  expect(screen.getByText('Enter the code that the program shows.')).toBeTruthy();
  await ada.user.type(code, 'nope{Enter}');
  expect((await screen.findByRole('alert')).textContent).toMatch(/No program waits/);
  await ada.user.clear(code);
  await ada.user.type(code, 'lmnp qrst{Enter}');
  await ada.user.click(await screen.findByRole('button', { name: 'Refuse' }));
  expect(await screen.findByRole('heading', { name: 'The program was refused' })).toBeTruthy();
  expect(world.devices[1]?.answer).toBe('denied');
});
