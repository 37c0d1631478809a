import { act, screen, waitFor, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { world as freshWorld } from '../mock/world.js';
import { person } from './person';

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const ADMIN = 'dora@provider.example';
const OPERATOR = 'eli@provider.example';

async function at(path: string, email = ADMIN, options?: Parameters<typeof person>[0]) {
  const someone = person(options);
  await someone.enter(email, path);
  return someone;
}

const button = (name: string | RegExp) => screen.getByRole('button', { name });

test('the register shows every tenant with its state as a word, and narrows by name and by state', async () => {
  const dora = await at('/tenants');
  await screen.findByText('Acme Logistics');
  const table = within(screen.getByRole('table', { name: 'Tenants' }));
  expect(within(table.getByRole('row', { name: /Umbrella/ })).getByText('Suspended: incident')).toBeTruthy();
  await dora.user.click(screen.getByRole('radio', { name: 'Suspended' }));
  await waitFor(() => expect(screen.queryByText('Acme Logistics')).toBeNull());
  expect(screen.getAllByRole('rowheader').map((cell) => cell.textContent)).toEqual(['Initechinitech', 'Umbrella Pharmaceuticalsumbrella']);
  await dora.user.type(screen.getByRole('searchbox'), 'zzz{Enter}');
  expect(await screen.findByText('No tenant matches')).toBeTruthy();
  expect(dora.path()).toBe('/tenants?search=zzz&state=suspended');
  await dora.user.click(button('Show all tenants'));
  expect(await screen.findByText('Acme Logistics')).toBeTruthy();
  expect(screen.getByRole<HTMLInputElement>('searchbox').value).toBe('');
});

test('a register longer than a page is fetched as far as somebody asks', async () => {
  const world = freshWorld();
  const first = world.tenants[0]!;
  world.tenants = Array.from({ length: 70 }, (_, n) => ({ ...first, id: `ten_${n}`, slug: `t-${n}`, name: `Tenant ${n}` }));
  const dora = await at('/tenants', ADMIN, { world });
  await screen.findByText('Tenant 49');
  expect(screen.queryByText('Tenant 50')).toBeNull();
  await dora.user.click(button('Load more'));
  expect(await screen.findByText('Tenant 69')).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'Load more' })).toBeNull();
});

test('an empty register says what a tenant is and leads to the first one', async () => {
  await at('/tenants', ADMIN, { world: { ...freshWorld(), tenants: [] } });
  expect(await screen.findByText('No tenant yet')).toBeTruthy();
  expect(screen.getByRole('link', { name: 'Create the first tenant' }).getAttribute('href')).toBe('/new/tenant');
});

test('who may only look is offered nothing to do, and who may not look is told so', async () => {
  const eli = await at('/tenants', OPERATOR);
  await screen.findByText('Acme Logistics');
  expect(screen.queryByRole('link', { name: 'Create tenant' })).toBeNull();
  await eli.user.click(screen.getByRole('link', { name: 'Acme Logistics' }));
  await screen.findByRole('heading', { name: 'Acme Logistics' });
  expect(screen.queryByRole('button', { name: /Suspend|Delete/ })).toBeNull();
  expect(screen.queryByText('Entitlements')).toBeNull();
  expect(eli.calls.some((call) => call.includes('entitlements'))).toBe(false);
});

test('a page that is not for one’s role shows the server’s refusal and no list', async () => {
  await at('/tenants', 'ada@acme.example');
  expect(await screen.findByText('Your role does not allow this')).toBeTruthy();
  expect(screen.getByText('You need the permission tenant.list for this.')).toBeTruthy();
  expect(within(screen.getByRole('navigation', { name: 'Main' })).queryByText('Tenants')).toBeNull();
});

test('figures that cannot be renewed stay and are called stale', async () => {
  vi.useFakeTimers({ now: Date.parse('2026-03-01T12:00:00Z'), shouldAdvanceTime: true });
  const dora = await at('/tenants/acme');
  await screen.findByText('us-east');
  dora.offline = true;
  await act(() => vi.advanceTimersByTimeAsync(16_000));
  expect(screen.getAllByText('Stale').length).toBeGreaterThan(0);
  expect(screen.getByText('us-east')).toBeTruthy();
});

test('a tenant that does not exist says so', async () => {
  await at('/tenants/nobody');
  expect(await screen.findByRole('heading', { level: 1, name: 'There is nothing here' })).toBeTruthy();
});

test('a new tenant: the slug follows the name, wrong values stand beside their fields, and the password is shown once', async () => {
  const dora = await at('/new/tenant');
  await dora.user.click(await screen.findByRole('button', { name: 'Create tenant' }));
  // named by the page itself: nothing was sent
  expect(screen.getByRole('alert').textContent).toContain('4 values cannot be accepted.');
  expect(document.activeElement).toBe(screen.getByLabelText('Name'));
  expect(dora.calls).not.toContain('POST /v1/tenants');

  await dora.user.type(screen.getByLabelText('Name'), 'Acme');
  expect(screen.getByLabelText<HTMLInputElement>('Slug').value).toBe('acme');
  await dora.user.type(screen.getByLabelText('E-mail'), 'nobody');
  await dora.user.type(screen.getByLabelText('Display name'), 'Nina');
  await dora.user.click(button('Create tenant'));
  const email = screen.getByLabelText('E-mail');
  await waitFor(() => expect(email.getAttribute('aria-invalid')).toBe('true'));
  expect(document.activeElement).toBe(email);
  expect(document.getElementById(email.getAttribute('aria-describedby')!)?.textContent).toBe('Expected an e-mail address of at most 254 characters.');
  expect(screen.getByLabelText<HTMLInputElement>('Name').value).toBe('Acme');

  await dora.user.type(email, '@acme.example');
  expect(email.getAttribute('aria-invalid')).toBeNull(); // what was said of the old value is gone with it
  await dora.user.click(button('Create tenant'));
  const slug = screen.getByLabelText('Slug');
  await waitFor(() => expect(document.activeElement).toBe(slug));
  expect(screen.getByRole('alert').textContent).toContain('choose another one');

  await dora.user.clear(slug);
  await dora.user.type(slug, 'acme-2{Enter}');
  expect(await screen.findByRole('heading', { name: 'Acme is created' })).toBeTruthy();
  expect(screen.getByText('kfmtcb-r8wq3n-7hzyxd-p2vjse')).toBeTruthy();

  // not kept yet: leaving is asked about
  await dora.user.click(screen.getByRole('link', { name: 'Go on to its entitlements' }));
  const asked = await screen.findByRole('dialog', { name: 'Leave this page?' });
  await dora.user.click(within(asked).getByRole('button', { name: 'Stay' }));
  await dora.user.click(button('Copy: Initial password'));
  expect(await navigator.clipboard.readText()).toBe('kfmtcb-r8wq3n-7hzyxd-p2vjse');
  await dora.user.click(screen.getByRole('link', { name: 'Go on to its entitlements' }));
  expect(await screen.findByText('Entitled to no region')).toBeTruthy();
  expect(dora.path()).toBe('/tenants/acme-2');
});

test('a form that was filled in is not left by a slip, and a press that hangs is not sent twice', async () => {
  const dora = await at('/new/tenant');
  await dora.user.type(await screen.findByLabelText('Name'), 'Later');
  await dora.user.click(screen.getByRole('link', { name: 'Regions' }));
  await dora.user.click(within(await screen.findByRole('dialog', { name: 'Leave this page?' })).getByRole('button', { name: 'Stay' }));
  expect(screen.getByLabelText<HTMLInputElement>('Name').value).toBe('Later');

  await dora.user.click(screen.getByRole('radio', { name: /Without anybody/ }));
  let release: (value: undefined) => void = () => {};
  dora.between = (request) => (request.method === 'POST' ? new Promise((resolve) => { release = resolve as never; }) as never : undefined);
  await dora.user.click(button('Create tenant'));
  await dora.user.click(button('Creating…'));
  await dora.user.type(screen.getByLabelText('Slug'), '{Enter}');
  release(undefined);
  expect(await screen.findByRole('heading', { name: 'Later is created' })).toBeTruthy();
  expect(dora.calls.filter((call) => call === 'POST /v1/tenants')).toHaveLength(1);
});

test('a failure of the network loses nothing that was typed', async () => {
  const dora = await at('/new/tenant');
  await dora.user.type(await screen.findByLabelText('Name'), 'Kept');
  await dora.user.click(screen.getByRole('radio', { name: /Without anybody/ }));
  dora.offline = true;
  await dora.user.click(button('Create tenant'));
  expect((await screen.findByRole('alert')).textContent).toContain('could not be reached');
  expect(screen.getByLabelText<HTMLInputElement>('Slug').value).toBe('kept');
  dora.offline = false;
  await dora.user.click(button('Create tenant'));
  expect(await screen.findByRole('heading', { name: 'Kept is created' })).toBeTruthy();
});

test('a session that ends under a filled form leads to the sign-in all the same', async () => {
  const dora = await at('/new/tenant');
  await dora.user.type(await screen.findByLabelText('Name'), 'Gone');
  await dora.user.click(screen.getByRole('radio', { name: /Without anybody/ }));
  dora.api.endSessions();
  await dora.user.click(button('Create tenant'));
  expect(await screen.findByText(/Your session has ended/)).toBeTruthy();
  expect(dora.path()).toBe('/sign-in?return=%2Fnew%2Ftenant&reason=ended');
});

test('a tenant is suspended for a cause with a reason, and resumed', async () => {
  const dora = await at('/tenants/acme');
  await dora.user.click(await screen.findByRole('button', { name: 'Suspend…' }));
  const dialog = within(screen.getByRole('dialog', { name: 'Suspend Acme Logistics' }));
  expect(dialog.getByText(/Only administrators and auditors sign in, to read/)).toBeTruthy();
  await dora.user.click(dialog.getByRole('radio', { name: /Incident/ }));
  await dora.user.click(dialog.getByRole('button', { name: 'Suspend' }));
  expect(dialog.getByRole('alert').textContent).toContain('Say why');
  await dora.user.type(dialog.getByLabelText('Reason'), 'A leaked key.');
  await dora.user.click(dialog.getByRole('button', { name: 'Suspend' }));
  expect((await screen.findAllByText('Suspended: incident')).length).toBeGreaterThan(0);
  expect(dora.api.world.reasons).toEqual(['A leaked key.']);

  await dora.user.click(button('Resume…'));
  await dora.user.type(screen.getByLabelText('Reason'), 'The key is replaced.');
  await dora.user.click(button('Resume'));
  await waitFor(() => expect(dora.api.world.tenants.find(({ slug }) => slug === 'acme')?.state).toBe('active'));
});

test('a deletion needs the slug typed and a reason; a restored tenant is on hold', async () => {
  const dora = await at('/tenants/acme');
  await dora.user.click(await screen.findByRole('button', { name: 'Delete…' }));
  const dialog = within(screen.getByRole('dialog', { name: 'Delete Acme Logistics' }));
  await dora.user.type(dialog.getByLabelText('Reason'), 'The contract ended.');
  await dora.user.type(dialog.getByLabelText('Type acme to confirm'), 'acm');
  await dora.user.click(dialog.getByRole('button', { name: 'Delete tenant' }));
  expect(dora.calls.some((call) => call.endsWith('/delete'))).toBe(false);
  await dora.user.type(dialog.getByLabelText('Type acme to confirm'), 'e');
  await dora.user.click(dialog.getByRole('button', { name: 'Delete tenant' }));
  expect(await screen.findByRole('button', { name: 'Restore…' })).toBeTruthy();
  expect(screen.queryByRole('button', { name: /Suspend|Resume|Delete|Entitle/ })).toBeNull();
  await dora.user.click(button('Restore…'));
  await dora.user.type(screen.getByLabelText('Reason'), 'It was the wrong one.');
  await dora.user.click(button('Restore'));
  expect((await screen.findAllByText('On hold')).length).toBeGreaterThan(0);
  expect(screen.queryByRole('button', { name: 'Delete…' })).toBeNull();
});

test('a step that the server refuses says why and leaves the dialog as it was', async () => {
  const dora = await at('/tenants/acme');
  await dora.user.click(await screen.findByRole('button', { name: 'Suspend…' }));
  dora.api.world.tenants.find(({ slug }) => slug === 'acme')!.state = 'deleting';
  await dora.user.type(screen.getByLabelText('Reason'), 'x');
  await dora.user.click(button('Suspend'));
  expect((await screen.findByRole('alert')).textContent).toContain('acme is deleting');
  expect(screen.getByLabelText<HTMLInputElement>('Reason').value).toBe('x');
});

test('a tenant is entitled to a region with an end and limits, and only to one it does not have', async () => {
  const dora = await at('/tenants/acme');
  await screen.findByText('us-east');
  await dora.user.click(button('Entitle to a region'));
  const region = await screen.findByLabelText<HTMLSelectElement>('Region');
  await waitFor(() => expect(region.options).toHaveLength(2)); // the question, and the one that is neither its own nor being drained
  await dora.user.selectOptions(region, 'sa-east');
  await dora.user.type(screen.getByLabelText('Until'), '2020-01-01T00:00');
  await dora.user.type(screen.getByLabelText('Hosts'), '12');
  await dora.user.click(button('Entitle'));
  const until = screen.getByLabelText('Until');
  await waitFor(() => expect(document.activeElement).toBe(until));
  expect(screen.getByLabelText<HTMLInputElement>('Hosts').value).toBe('12');
  await dora.user.clear(until);
  await dora.user.type(until, '2099-01-01T00:00');
  await dora.user.click(button('Entitle'));
  expect(await screen.findByText('Acme Logistics is entitled to sa-east.')).toBeTruthy();
  const row = within(await screen.findByRole('row', { name: /sa-east/ }));
  expect(row.getByText('12 hosts')).toBeTruthy();
  expect(dora.api.world.entitlements[dora.api.world.tenants[2]!.id]![0]).toMatchObject({ limits: { hosts: 12 }, until: new Date('2099-01-01T00:00').toISOString() });
});

test('an entitlement ends only when the region was typed', async () => {
  const dora = await at('/tenants/acme');
  await dora.user.click(await screen.findByRole('button', { name: 'End the entitlement to us-east' }));
  await dora.user.type(screen.getByLabelText('Type us-east to confirm'), 'us-east');
  await dora.user.click(button('End entitlement'));
  await waitFor(() => expect(screen.queryByRole('row', { name: /us-east/ })).toBeNull());
});
