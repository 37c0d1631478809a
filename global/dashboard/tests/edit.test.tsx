import { screen, waitFor, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

const STAFF = 'dora@provider.example';
const ADMIN = 'ada@acme.example';

async function at(path: string, email: string) {
  const someone = person();
  await someone.enter(email, path);
  return someone;
}

type Someone = Awaited<ReturnType<typeof at>>;

const button = (name: string | RegExp) => screen.getByRole('button', { name });
const dialog = () => within(screen.getByRole('dialog'));
const patches = (someone: Someone) => someone.calls.filter((call) => call.startsWith('PATCH'));

async function retype(someone: Someone, label: string, text: string): Promise<void> {
  const field = await screen.findByLabelText(label);
  await someone.user.clear(field);
  if (text) await someone.user.type(field, text);
}

const acme = (someone: Someone) => someone.api.world.tenants.find(({ slug }) => slug === 'acme')!;

test('a tenant is renamed; a wrong name stands beside its field, and nothing changed is nothing sent', async () => {
  const dora = await at('/tenants/acme', STAFF);
  await dora.user.click(await screen.findByRole('button', { name: 'Rename…' }));
  await retype(dora, 'Name', '');
  await dora.user.click(button('Save'));
  expect(screen.getByRole('alert').textContent).toContain('Name: Enter the name.');
  await retype(dora, 'Name', 'x'.repeat(101));
  await dora.user.click(button('Save'));
  await waitFor(() => expect(screen.getByLabelText('Name').getAttribute('aria-invalid')).toBe('true'));
  expect(document.activeElement).toBe(screen.getByLabelText('Name'));
  await retype(dora, 'Name', 'Acme Freight');
  await dora.user.click(button('Save'));
  expect(await screen.findByRole('heading', { level: 1, name: 'Acme Freight' })).toBeTruthy();

  await dora.user.click(button('Rename…'));
  await screen.findByLabelText('Name');
  await dora.user.click(button('Save'));
  expect(await screen.findByText('Nothing was changed.')).toBeTruthy();
  expect(patches(dora)).toHaveLength(2);
});

test('who was slower sees what somebody else made of it, and takes theirs or keeps the own', async () => {
  const dora = await at('/tenants/acme', STAFF);
  const edit = async (mine: string, theirs: string) => {
    await dora.user.click(await screen.findByRole('button', { name: 'Rename…' }));
    await retype(dora, 'Name', mine);
    acme(dora).name = theirs;
    await dora.user.click(button('Save'));
    expect(await screen.findByText(/Somebody else changed this/)).toBeTruthy();
  };
  await edit('Mine', 'Theirs');
  expect(dialog().getByRole('radio', { name: /Keep mine\s*Mine/ })).toBeTruthy();
  expect(dialog().getByText('Before it was: Acme Logistics')).toBeTruthy();
  await dora.user.click(dialog().getByRole('radio', { name: /Take theirs\s*Theirs/ }));
  await dora.user.click(button('Save'));
  expect(await screen.findByRole('heading', { level: 1, name: 'Theirs' })).toBeTruthy();

  await edit('Mine', 'Theirs again');
  await dora.user.click(button('Save'));
  expect(await screen.findByRole('heading', { level: 1, name: 'Mine' })).toBeTruthy();
  expect(acme(dora).name).toBe('Mine');
});

test('what two people changed of two values is both kept, and one can go back to the form', async () => {
  const dora = await at('/regions/eu-north', STAFF);
  const region = dora.api.world.regions.find(({ slug }) => slug === 'eu-north')!;
  await dora.user.click(await screen.findByRole('button', { name: 'Edit…' }));
  await retype(dora, 'Name', 'North');
  region.console_url = 'https://console.example';
  await dora.user.click(button('Save'));
  expect(await screen.findByText(/what they changed stays when you save/)).toBeTruthy();
  expect(dialog().getByText('Console, changed by somebody else')).toBeTruthy();
  expect(dialog().getByText('Name, changed by you')).toBeTruthy();
  await dora.user.click(button('Back to the form'));
  expect((await screen.findByLabelText<HTMLInputElement>('Name')).value).toBe('North');
  expect(screen.getByLabelText<HTMLInputElement>('Console, when elsewhere').value).toBe('https://console.example');
  await retype(dora, 'Address', 'https://north.example/');
  await dora.user.click(button('Save'));
  await waitFor(() => expect(document.activeElement).toBe(screen.getByLabelText('Address')));
  await retype(dora, 'Address', 'https://north.example');
  await dora.user.click(button('Save'));
  expect(await screen.findByRole('heading', { level: 1, name: 'North' })).toBeTruthy();
  expect(region).toMatchObject({ name: 'North', url: 'https://north.example', console_url: 'https://console.example' });
});

test('a version that is gone without a difference is no question to anybody', async () => {
  const dora = await at('/tenants/acme', STAFF);
  await dora.user.click(await screen.findByRole('button', { name: 'Rename…' }));
  await retype(dora, 'Name', 'Acme Freight');
  acme(dora).state = 'suspended(billing)'; // another version, and nothing of what is edited
  await dora.user.click(button('Save'));
  expect(await screen.findByRole('heading', { level: 1, name: 'Acme Freight' })).toBeTruthy();
  expect(patches(dora)).toHaveLength(2);
});

test('an entitlement gets another end and other limits; a limit that is no number is not taken for none', async () => {
  const dora = await at('/tenants/acme', STAFF);
  await dora.user.click(await screen.findByRole('button', { name: 'Change the entitlement to eu-north' }));
  await retype(dora, 'Clusters', 'five');
  await dora.user.click(button('Save'));
  expect(screen.getByRole('alert').textContent).toContain('Clusters: Enter a whole number');
  await retype(dora, 'Clusters', '2000000');
  await dora.user.click(button('Save'));
  await waitFor(() => expect(screen.getByLabelText('Clusters').getAttribute('aria-invalid')).toBe('true'));
  await retype(dora, 'Clusters', '7');
  await retype(dora, 'Hosts', '');
  await dora.user.type(screen.getByLabelText('Until'), '2099-01-01T00:00');
  await dora.user.click(button('Save'));
  expect(await screen.findByText('The entitlement to eu-north is changed.')).toBeTruthy();
  const { limits, until } = dora.api.world.entitlements[acme(dora).id]![0]!;
  expect([limits, until]).toEqual([{ clusters: 7, hosts: null }, new Date('2099-01-01T00:00').toISOString()]);
});

test('a membership gets other roles, regions and an end, and what another administrator did meanwhile is told', async () => {
  const ada = await at('/people', ADMIN);
  const membership = ada.api.world.accounts.find(({ id }) => id === 'usr_gus')!.memberships[0]!;
  await ada.user.click(await screen.findByRole('link', { name: 'Gus Mahler' }));
  await ada.user.click(await screen.findByRole('button', { name: 'Change membership…' }));
  await ada.user.click(await screen.findByRole('checkbox', { name: /Read only/ }));
  await ada.user.click(screen.getByRole('checkbox', { name: /Auditor/ }));
  await ada.user.click(screen.getByRole('radio', { name: /Only some/ }));
  await ada.user.click(await screen.findByRole('checkbox', { name: /EU North/ }));
  membership.roles = ['security-analyst'];
  await ada.user.click(button('Save'));
  expect(await screen.findByRole('radio', { name: /Take theirs\s*Security analyst/ })).toBeTruthy();
  expect(dialog().getByText('Before it was: Read only')).toBeTruthy();
  expect(dialog().getByText('Regions, changed by you')).toBeTruthy();
  await ada.user.click(button('Save'));
  expect(await screen.findByText('The membership of Gus Mahler is changed.')).toBeTruthy();
  expect(membership).toMatchObject({ roles: ['auditor'], only: ['reg_eu-north'] });
});

test('the last administrator keeps that role', async () => {
  const ada = await at('/people', ADMIN);
  await ada.user.click(await screen.findByRole('link', { name: 'Ada Byron' }));
  await ada.user.click(await screen.findByRole('button', { name: 'Change membership…' }));
  await ada.user.click(await screen.findByRole('checkbox', { name: /Tenant administrator/ }));
  await ada.user.click(screen.getByRole('checkbox', { name: /Auditor/ }));
  await ada.user.click(button('Save'));
  expect((await screen.findByRole('alert')).textContent).toContain('last administrator');
});

test('a person is renamed by the tenant that is their only one', async () => {
  const ada = await at('/people', ADMIN);
  await ada.user.click(await screen.findByRole('link', { name: 'Gus Mahler' }));
  await ada.user.click(await screen.findByRole('button', { name: 'Rename…' }));
  await retype(ada, 'Display name', 'Gustav Mahler');
  await ada.user.click(button('Save'));
  expect(await screen.findByRole('heading', { level: 1, name: 'Gustav Mahler' })).toBeTruthy();
  await ada.user.click(screen.getAllByRole('link', { name: 'People' })[0]!);
  await ada.user.click(await screen.findByRole('link', { name: 'Cleo Merode' }));
  await ada.user.click(await screen.findByRole('button', { name: 'Rename…' }));
  await retype(ada, 'Display name', 'C.');
  await ada.user.click(button('Save'));
  expect((await screen.findByRole('alert')).textContent).toContain('does not belong to this tenant alone');
  expect(screen.getByLabelText<HTMLInputElement>('Display name').value).toBe('C.');
});

test('what was deleted meanwhile cannot be edited, and says so', async () => {
  const dora = await at('/tenants/acme', STAFF);
  await screen.findByText('us-east');
  dora.api.world.entitlements[acme(dora).id]!.splice(1, 1);
  await dora.user.click(button('Change the entitlement to us-east'));
  expect((await screen.findByRole('alert')).textContent).toContain('it has ended');
});
