import { fireEvent, screen, waitFor, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { acme, world as freshWorld } from '../mock/world.js';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

const ADMIN = 'ada@acme.example';
const CLEO = 'cleo@acme.example';

async function at(path: string, email = ADMIN, world = freshWorld()) {
  const someone = person({ world });
  await someone.enter(email, path);
  return someone;
}

/** Cleo gives roles and makes them, and holds little besides. */
function withDesk() {
  const world = freshWorld();
  const permissions = ['user.list', 'user.invite', 'membership.list', 'membership.grant', 'role.list', 'role.read', 'role.create', 'role.update', 'cluster.list', 'cluster.read'];
  world.roles[acme.id]!.push({ id: 'rol_3', name: 'people-desk', scope: 'tenant', description: 'Looks after people.', permissions, created_at: '2026-03-01T12:00:00Z' });
  world.roles[acme.id]!.push({ id: 'rol_4', name: 'looker', scope: 'tenant', description: '', permissions: ['cluster.list'], created_at: '2026-03-01T12:00:00Z' });
  world.accounts.find(({ email }) => email === CLEO)!.memberships[0]!.roles = ['people-desk'];
  return world;
}

const button = (name: string | RegExp) => screen.getByRole('button', { name });
const box = (name: RegExp) => screen.getByRole<HTMLInputElement>('checkbox', { name });
const ownOf = (someone: Awaited<ReturnType<typeof at>>, name: string) => someone.api.world.roles[acme.id]?.find((role) => role.name === name);

test('presets and the tenant’s own roles are listed with where they are given and who has them', async () => {
  const ada = await at('/roles');
  const own = within(await screen.findByRole('row', { name: /release-crew/ }));
  expect(own.getByText('Your tenant')).toBeTruthy();
  await waitFor(() => expect(own.getByRole('cell', { name: '1' })).toBeTruthy());
  expect(within(screen.getByRole('row', { name: /Cluster operator/ })).getByText('by cluster')).toBeTruthy();
  await ada.user.type(screen.getByRole('searchbox'), 'hosts of{Enter}');
  await waitFor(() => expect(screen.queryByText('release-crew')).toBeNull());
  expect(screen.getByText('host-keeper')).toBeTruthy();
});

test('who may not list roles is neither led there nor shown any', async () => {
  await at('/roles', 'ben@globex.example');
  expect(await screen.findByText('Your role does not allow this')).toBeTruthy();
  expect(within(screen.getByRole('navigation', { name: 'Main' })).queryByText('Roles')).toBeNull();
});

test('a role shows what it holds by subject with sentences, and who has it', async () => {
  await at('/roles/release-crew');
  expect(await screen.findByRole('heading', { level: 1, name: 'release-crew' })).toBeTruthy();
  const workloads = within(await screen.findByRole('region', { name: 'Workload' }));
  expect(workloads.getByText('Start a workload.')).toBeTruthy();
  expect(workloads.queryByText('Delete a workload that is stopped.')).toBeNull();
  expect(await screen.findByRole('link', { name: 'Cleo Merode' })).toBeTruthy();
});

test('a preset is not changed, but copied', async () => {
  const ada = await at('/roles/auditor');
  await screen.findByText('Preset');
  expect(screen.queryByRole('button', { name: 'Change…' })).toBeNull();
  expect(screen.queryByRole('button', { name: 'Delete…' })).toBeNull();
  await ada.user.click(screen.getByRole('link', { name: 'Make one like it' }));
  await waitFor(() => expect(box(/audit\.list/).checked).toBe(true));
  expect(box(/user\.list/).checked).toBe(false);
});

test('a role is made out of groups and single permissions; what is missing stands beside its field', async () => {
  const ada = await at('/new/role');
  await screen.findByRole('checkbox', { name: /host\.list/ });
  await ada.user.click(button('Make role'));
  expect(screen.getByRole('alert').textContent).toContain('Permissions: Choose at least one permission.');
  await ada.user.type(screen.getByLabelText('Name'), 'auditor');
  await ada.user.click(button('All of Host'));
  await ada.user.click(box(/host\.delete/));
  await ada.user.type(screen.getByRole('searchbox', { name: 'Find permissions' }), 'workload.start{Enter}');
  expect(screen.queryByRole('checkbox', { name: /host\.list/ })).toBeNull();
  await ada.user.click(box(/workload\.start/));
  await ada.user.click(button('Make role'));
  expect((await screen.findByRole('alert')).textContent).toContain('There is a role of this name');
  await ada.user.clear(screen.getByLabelText('Name'));
  await ada.user.type(screen.getByLabelText('Name'), 'host-hand');
  await ada.user.click(button('Make role'));
  expect(await screen.findByRole('heading', { level: 1, name: 'host-hand' })).toBeTruthy();
  expect(ownOf(ada, 'host-hand')).toMatchObject({ scope: 'tenant', permissions: ['host.list', 'host.read', 'host.create', 'host.update', 'workload.start'] });
});

test('a role of one cluster is offered nothing of the whole tenant', async () => {
  const ada = await at('/new/role');
  await screen.findByRole('checkbox', { name: /user\.list/ });
  await ada.user.click(screen.getByRole('radio', { name: /One cluster/ }));
  expect(screen.queryByRole('checkbox', { name: /user\.list/ })).toBeNull();
  await ada.user.type(screen.getByLabelText('Name'), 'watcher');
  await ada.user.click(box(/host\.list/));
  await ada.user.click(button('Make role'));
  await screen.findByRole('heading', { level: 1, name: 'watcher' });
  expect(ownOf(ada, 'watcher')).toMatchObject({ scope: 'cluster', permissions: ['host.list'] });
});

test('nobody is offered to give what they do not hold, nor to change a role that holds more', async () => {
  const cleo = await at('/new/role', CLEO, withDesk());
  await waitFor(() => expect(box(/cluster\.list/).disabled).toBe(false));
  expect(box(/cluster\.create/).disabled).toBe(true);
  expect(screen.getByRole('checkbox', { name: /cluster\.create.*You do not hold it/ })).toBeTruthy();
  await cleo.user.click(button('All of Cluster'));
  expect([box(/cluster\.list/).checked, box(/cluster\.create/).checked]).toEqual([true, false]);
  await cleo.router!.navigate({ to: '/roles/$name', params: { name: 'release-crew' }, ignoreBlocker: true });
  expect((await screen.findByRole('button', { name: 'Change…' })).getAttribute('aria-disabled')).toBe('true');
  expect(screen.getByText(/You cannot change it. It holds workload.list and 5 more that you do not hold./)).toBeTruthy();
  await cleo.user.click(button('Change…'));
  expect(screen.queryByRole('dialog')).toBeNull();
});

test('a role changes for those who have it, and who was slower sees what somebody else made of it', async () => {
  const ada = await at('/roles/release-crew');
  await ada.user.click(await screen.findByRole('button', { name: 'Change…' }));
  await ada.user.click(await screen.findByRole('checkbox', { name: /lease\.list/ }));
  ownOf(ada, 'release-crew')!.description = 'Theirs.';
  await ada.user.click(button('Save'));
  expect(await screen.findByText(/Somebody else changed this/)).toBeTruthy();
  await ada.user.click(button('Save'));
  expect(await screen.findByText('The role release-crew is changed.')).toBeTruthy();
  expect(ownOf(ada, 'release-crew')).toMatchObject({ description: 'Theirs.' });
  expect(ownOf(ada, 'release-crew')!.permissions).toContain('lease.list');
});

test('a role that somebody has or is invited to is not deleted, and it is said who; another one is', async () => {
  const world = freshWorld();
  world.invitations[0]!.roles = ['release-crew'];
  const ada = await at('/roles/release-crew', ADMIN, world);
  await screen.findByRole('link', { name: 'Cleo Merode' });
  await ada.user.click(button('Delete…'));
  const dialog = within(await screen.findByRole('dialog', { name: 'release-crew is in use' }));
  expect(dialog.getByRole('link', { name: 'Cleo Merode' })).toBeTruthy();
  expect(await dialog.findByText('ivy@elsewhere.example')).toBeTruthy();
  expect(ada.calls).not.toContain('DELETE /v1/roles/release-crew');

  await ada.router!.navigate({ to: '/roles/$name', params: { name: 'host-keeper' } });
  await screen.findByRole('heading', { level: 1, name: 'host-keeper' });
  await ada.user.click(button('Delete…'));
  await ada.user.type(await screen.findByLabelText('Type host-keeper to confirm'), 'host-keeper');
  await ada.user.click(button('Delete role'));
  expect(await screen.findByText('The role host-keeper is deleted.')).toBeTruthy();
  expect(ownOf(ada, 'host-keeper')).toBeUndefined();
});

test('the matrix shows which role holds what, is walked by arrow keys, and finds by word', async () => {
  const ada = await at('/permissions');
  const cell = await screen.findByText('Auditor holds audit.list');
  expect(cell).toBeTruthy();
  expect(screen.getByText('Read only does not hold audit.list')).toBeTruthy();
  const first = document.querySelector<HTMLElement>('td[data-at="0,0"]')!;
  expect(document.querySelectorAll('td[tabindex="0"]')).toHaveLength(1);
  first.focus();
  fireEvent.keyDown(first, { key: 'ArrowDown' });
  fireEvent.keyDown(document.activeElement!, { key: 'ArrowRight' });
  expect((document.activeElement as HTMLElement).dataset.at).toBe('1,1');
  fireEvent.keyDown(document.activeElement!, { key: 'End', ctrlKey: true });
  fireEvent.keyDown(document.activeElement!, { key: 'ArrowDown' });
  expect(document.activeElement!.textContent).toContain('workload.stop');
  expect(document.querySelectorAll('td[tabindex="0"]')).toHaveLength(1);
  await ada.user.type(screen.getByRole('searchbox'), 'audit.list{Enter}');
  await waitFor(() => expect(screen.queryByText('workload.stop')).toBeNull());
  await ada.user.click(screen.getByRole('radio', { name: 'Your tenant’s' }));
  expect(screen.queryByText('Auditor holds audit.list')).toBeNull();
  expect(screen.getByText('release-crew does not hold audit.list')).toBeTruthy();
});

test('a tenant’s own role is given like a preset; one that holds more than its giver is shown and not offered', async () => {
  const cleo = await at('/people', CLEO, withDesk());
  await cleo.user.click(await screen.findByRole('link', { name: 'Gus Mahler' }));
  await cleo.user.click(await screen.findByRole('button', { name: 'Change membership…' }));
  const looker = await screen.findByRole<HTMLInputElement>('checkbox', { name: /looker/ });
  await waitFor(() => expect(box(/release-crew/).disabled).toBe(true));
  expect(screen.getByRole('checkbox', { name: /Auditor.*that you do not hold/ })).toBeTruthy();
  expect(screen.queryByRole('checkbox', { name: /host-keeper/ })).toBeNull();
  const had = box(/Read only/);
  expect([had.checked, had.disabled]).toEqual([true, false]);
  await cleo.user.click(had);
  await cleo.user.click(looker);
  await cleo.user.click(button('Save'));
  expect(await screen.findByText('The membership of Gus Mahler is changed.')).toBeTruthy();
  expect(cleo.api.world.accounts.find(({ id }) => id === 'usr_gus')!.memberships[0]!.roles).toEqual(['looker']);
});

test('what one holds by a role of the tenant’s own is offered, and taken away with it', async () => {
  const world = withDesk();
  const cleo = await at('/people', CLEO, world);
  expect(await screen.findByRole('link', { name: 'Add a person' })).toBeTruthy();
  world.accounts.find(({ email }) => email === CLEO)!.memberships[0]!.roles = ['looker'];
  await cleo.router!.navigate({ to: '/' });
  window.dispatchEvent(new Event('visibilitychange'));
  await waitFor(() => expect(within(screen.getByRole('navigation', { name: 'Main' })).queryByText('People')).toBeNull());
});
