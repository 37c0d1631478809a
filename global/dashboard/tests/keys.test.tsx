import { screen, waitFor, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { acme } from '../mock/world.js';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

async function at(path: string, email = 'ada@acme.example') {
  const someone = person();
  await someone.enter(email, path);
  return someone;
}

const button = (name: string | RegExp) => screen.getByRole('button', { name });

test('keys are listed with whose they are, what they may, where, and what has become of them', async () => {
  await at('/api-keys');
  const row = within(await screen.findByRole('row', { name: /Release pipeline/ }));
  for (const word of ['Active', 'of Ada Byron', 'release-crew', 'All regions', 'from 192.0.2.0/24']) expect(row.getByText(word)).toBeTruthy();
  const other = within(screen.getByRole('row', { name: /Inventory/ }));
  for (const word of ['Void', 'eu-north', 'never']) expect(other.getByText(word)).toBeTruthy();
});

test('a key is made in one region, its secret shown this once', async () => {
  const ada = await at('/new/api-key');
  await ada.user.type(await screen.findByLabelText('Name'), 'Backup');
  await ada.user.click(button('Make key'));
  expect(screen.getByRole('alert').textContent).toContain('Role: Choose a role.');
  await ada.user.click(screen.getByRole('radio', { name: /Read only/ }));
  await ada.user.click(screen.getByRole('radio', { name: /One region/ }));
  await ada.user.selectOptions(screen.getByLabelText('Region'), 'us-east');
  await ada.user.type(screen.getByLabelText('Only from'), '10.0.0.0/8 nonsense');
  await ada.user.click(button('Make key'));
  expect((await screen.findByRole('alert')).textContent).toContain('Only from: Is no range of addresses.');
  await ada.user.clear(screen.getByLabelText('Only from'));
  await ada.user.type(screen.getByLabelText('Only from'), '10.0.0.0/8, 2001:db8::/32');
  await ada.user.click(button('Make key'));
  expect(await screen.findByText('exk_7hzyxd-p2vjse-kfmtcb-r8wq3n')).toBeTruthy();
  expect(ada.api.world.keys[acme.id]![0]).toMatchObject({ name: 'Backup', kind: 'regional', region: { slug: 'us-east' }, role: 'read-only', cidrs: ['10.0.0.0/8', '2001:db8::/32'] });
  await ada.user.click(button('I have kept it'));
  await ada.user.click(screen.getByRole('link', { name: 'Go to API keys' }));
  expect(await screen.findByRole('row', { name: /Backup/ })).toBeTruthy();
  expect(screen.queryByText(/exk_/)).toBeNull();
});

test('a key gets another secret beside the former, and is revoked by its name', async () => {
  const ada = await at('/api-keys');
  await ada.user.click(await screen.findByRole('button', { name: 'Rotate Release pipeline' }));
  await ada.user.click(button('Rotate key'));
  expect(await screen.findByText('exk_7hzyxd-p2vjse-kfmtcb-r8wq3n-2')).toBeTruthy();
  await ada.user.click(button('Close'));
  expect(await screen.findByText(/former one ends/)).toBeTruthy();
  await ada.user.click(button('Revoke Release pipeline'));
  await ada.user.type(screen.getByLabelText('Reason'), 'No longer used.');
  await ada.user.type(screen.getByLabelText('Type Release pipeline to confirm'), 'Release pipeline');
  await ada.user.click(button('Revoke key'));
  expect(await screen.findByText('Release pipeline is revoked.')).toBeTruthy();
  await waitFor(() => expect(screen.queryByRole('row', { name: /Release pipeline/ })).toBeNull());
});

test('a refusal has the number of its decision, to be copied', async () => {
  await at('/api-keys', 'ben@globex.example');
  expect(await screen.findByText('Your role does not allow this')).toBeTruthy();
  expect(button(/Copy: dec_/)).toBeTruthy();
  expect(within(screen.getByRole('navigation', { name: 'Main' })).queryByText('API keys')).toBeNull();
});
