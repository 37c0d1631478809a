import { act, screen, waitFor, within } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { world as freshWorld } from '../mock/world.js';
import { person } from './person';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-03-01T12:00:00Z'), shouldAdvanceTime: true });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const row = (name: string, table = 'Regions you may enter') =>
  within(screen.getByRole('table', { name: table })).getByRole('row', { name: new RegExp(name) });

async function home(email: string, options?: Parameters<typeof person>[0]) {
  const someone = person(options);
  await someone.open('/sign-in');
  await someone.signIn(email);
  return someone;
}

test('each region shows its state as a word, its latency and its address, which can be copied', async () => {
  const ada = await home('ada@acme.example');
  await screen.findByText('EU North');
  const north = within(row('EU North'));
  expect(north.getByText('Healthy').querySelector('svg')).toBeTruthy();
  expect(north.getByText('14 ms')).toBeTruthy();
  await ada.user.click(north.getByRole('button', { name: /^Copy the address of EU North/ }));
  expect(await navigator.clipboard.readText()).toBe('http://eu-north.localhost:9440');
  expect(screen.getByText('The address of EU North is on the clipboard.')).toBeTruthy();
  expect(within(row('US East')).getByText('Degraded')).toBeTruthy();
});

test('a region that is not open yet has no address and says why; a silent one keeps its address and its last figures', async () => {
  const cleo = await home('cleo@acme.example');
  await cleo.user.click(await screen.findByRole('button', { name: 'Continue' }));
  await screen.findByText('SA East');
  expect(within(row('SA East')).queryByRole('button')).toBeNull();
  expect(within(row('SA East')).getAllByText(/not open yet/)).toHaveLength(2); // beside the state, and read out for the address
  expect(within(row('AP South')).getByText('(last known)')).toBeTruthy();
  expect(within(row('AP South')).getByRole('button')).toBeTruthy();
});

test('a change comes by itself, and the age of what is shown is said between', async () => {
  const ada = await home('ada@acme.example');
  await screen.findByText('EU North');
  await pass(3_000);
  expect(screen.getByText(/Live, as of [23] s ago/)).toBeTruthy();
  ada.api.world.regions[0]!.health = 'degraded';
  const asked = ada.calls.filter((call) => call.endsWith('/v1/me/regions')).length;
  await pass(2_000);
  expect(within(row('EU North')).getByText('Degraded')).toBeTruthy();
  expect(ada.calls.filter((call) => call.endsWith('/v1/me/regions'))).toHaveLength(asked); // told, not asked
});

test('a tab that nobody sees listens to nothing, and catches up when it is seen', async () => {
  const ada = await home('ada@acme.example');
  await screen.findByText(/Live, as of/);
  const hide = (state: string) => act(() => {
    vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(state as DocumentVisibilityState);
    document.dispatchEvent(new Event('visibilitychange'));
  });
  hide('hidden');
  ada.api.world.regions[0]!.health = 'degraded';
  await pass(3_000);
  expect(within(row('EU North')).getByText('Healthy')).toBeTruthy();
  hide('visible');
  await pass(1_000);
  expect(await screen.findByText(/Live, as of/)).toBeTruthy();
  expect(within(row('EU North')).getByText('Degraded')).toBeTruthy();
  vi.restoreAllMocks();
});

test('where no stream comes about the list is asked for again and again', async () => {
  const ada = person();
  ada.between = (request) => (request.headers.get('accept') === 'text/event-stream' ? new Response('', { status: 502 }) : undefined);
  await ada.open('/sign-in');
  await ada.signIn('ada@acme.example');
  await screen.findByText('EU North');
  ada.api.world.regions[0]!.health = 'degraded';
  await pass(6_000);
  expect(within(row('EU North')).getByText('Degraded')).toBeTruthy();
  expect(screen.getByText(/^Updated/)).toBeTruthy();
});

test('figures that cannot be renewed stay, are called stale with their age and the cause, and recover', async () => {
  const ada = await home('ada@acme.example');
  await screen.findByText('EU North');
  ada.offline = true;
  await pass(20_000);
  expect(screen.getByText('Stale')).toBeTruthy();
  expect(screen.getByText(/Last known figures, from .* could not be reached/)).toBeTruthy();
  expect(within(row('EU North')).getByText('Healthy')).toBeTruthy();
  ada.offline = false;
  await pass(6_000);
  expect(screen.queryByText('Stale')).toBeNull();
});

test('a call that hangs makes the figures stale as well', async () => {
  const ada = await home('ada@acme.example');
  await screen.findByText('EU North');
  ada.between = () => new Promise<Response>(() => {});
  ada.cut();
  await pass(17_000);
  expect(screen.getByText('Stale')).toBeTruthy();
});

test('a list that never came says why and can be tried again', async () => {
  const ada = person();
  ada.between = (request) =>
    request.url.includes('/v1/me/regions')
      ? new Response(JSON.stringify({ type: 'urn:exarch:problem:x', title: 'x', status: 503, detail: 'The database is away.', request_id: 'req_7' }), { status: 503 })
      : undefined;
  await ada.open('/sign-in');
  await ada.signIn('ada@acme.example');
  expect(await screen.findByText('The database is away.')).toBeTruthy();
  expect(screen.getByText('Request req_7')).toBeTruthy();
  ada.between = undefined;
  await ada.user.click(screen.getByRole('button', { name: 'Try again now' }));
  expect(await screen.findByText('EU North')).toBeTruthy();
});

test('no region is an answer of its own', async () => {
  const world = freshWorld();
  world.accounts.find(({ id }) => id === 'usr_ben')!.memberships[0]!.regions = [];
  await home('ben@globex.example', { world });
  expect(await screen.findByText('No region to enter')).toBeTruthy();
});

test('all pages of a long list are fetched', async () => {
  const world = freshWorld();
  const first = world.regions[0]!;
  world.regions = Array.from({ length: 230 }, (_, n) => ({ ...first, id: `reg_${n}`, slug: `r-${n}`, name: `Region ${n}` }));
  world.accounts.find(({ id }) => id === 'usr_ben')!.memberships[0]!.regions = world.regions.map(({ slug }) => slug);
  await home('ben@globex.example', { world });
  await screen.findByText('Region 229');
  expect(screen.getAllByRole('row')).toHaveLength(231);
});

test('people of a tenant neither see nor ask for the federation', async () => {
  const ada = await home('ada@acme.example');
  await screen.findByText('EU North');
  await pass(6_000);
  expect(screen.queryByRole('heading', { name: 'Federation' })).toBeNull();
  expect(ada.calls).not.toContain('GET /v1/regions');
});

test('staff see every region with life cycle, health, cause, probe, latency, software and passport', async () => {
  await home('eli@provider.example');
  await screen.findByText('US East');
  expect(screen.getByRole('heading', { level: 1, name: 'Federation' })).toBeTruthy();
  expect(screen.getByText('5 regions · 1 unreachable · 1 degraded · 2 healthy')).toBeTruthy();
  const all = 'All regions of the federation';
  const south = within(row('AP South', all));
  for (const text of ['Unreachable', 'No answer to the last 600 probes.', 'Active', '5 h ago', '0.0.9']) {
    expect(south.getByText(text)).toBeTruthy();
  }
  expect(south.getByText('the region has v190')).toBeTruthy();
  expect(south.getByText(/stale, 5 h/)).toBeTruthy();
  expect(south.getByText('5 h ago').title).toContain('2026-03-01 06:59:00 UTC');
  expect(within(row('SA East', all)).getByText('Joining')).toBeTruthy();
  expect(within(row('EU West', all)).getByText('Draining')).toBeTruthy();
  // most urgent first
  expect(screen.getAllByRole('rowheader').map((cell) => cell.textContent)[0]).toMatch(/AP South/);
});

test('a field that is null is a field that is absent', async () => {
  const world = freshWorld();
  const nulls = { last_probe_at: null, latency_ms: null, software_version: null, passport: null, skew_ms: null, reason: null };
  world.regions = world.regions.map((region) => ({ ...region, ...nulls }) as unknown as typeof region);
  const eli = await home('eli@provider.example', { world });
  await screen.findByText('US East');
  const healthy = within(row('EU North', 'All regions of the federation'));
  for (const says of ['never', 'not measured', 'none yet', 'unknown']) expect(healthy.getByText(says)).toBeTruthy();
  for (const head of ['Last probe', 'Latency', 'Passport']) await eli.user.click(screen.getByRole('button', { name: head }));
  expect(screen.getAllByRole('rowheader')).toHaveLength(5);
});

test('a column head sorts, and again the other way', async () => {
  const eli = await home('eli@provider.example');
  await screen.findByText('US East');
  const names = () => screen.getAllByRole('rowheader').map((cell) => cell.textContent?.slice(0, 2));
  await eli.user.click(screen.getByRole('button', { name: 'Latency' }));
  expect(names()).toEqual(['EU', 'EU', 'US', 'AP', 'SA']);
  await eli.user.click(screen.getByRole('button', { name: 'Latency' }));
  expect(names()).toEqual(['AP', 'US', 'EU', 'EU', 'SA']);
  expect(screen.getByRole('columnheader', { name: 'Latency' }).getAttribute('aria-sort')).toBe('descending');
});

test('a server that refuses the federation is taken at its word', async () => {
  const eli = person();
  eli.between = (request) =>
    new URL(request.url).pathname === '/v1/regions'
      ? new Response(JSON.stringify({ type: 'urn:exarch:problem:forbidden', title: 'x', status: 403, detail: 'Not for you.' }), { status: 403 })
      : undefined;
  await eli.open('/sign-in');
  await eli.signIn('eli@provider.example');
  expect(await screen.findByText('Not for you.')).toBeTruthy();
});

test('switching the tenant takes a choice and a press, and then everything is of the new one', async () => {
  const cleo = await home('cleo@acme.example');
  await cleo.user.click(await screen.findByRole('button', { name: 'Continue' }));
  await screen.findByText('SA East');
  await cleo.user.click(screen.getByRole('button', { name: /Acme Logistics/ }));
  const dialog = within(screen.getByRole('dialog', { name: 'Switch tenant' }));
  expect(dialog.getByRole<HTMLInputElement>('radio', { name: /Globex/ }).checked).toBe(true);
  expect(cleo.calls).not.toContain('POST /v1/me/tenant');
  await cleo.user.click(dialog.getByRole('button', { name: 'Switch' }));
  expect(await screen.findByText('EU West')).toBeTruthy();
  expect(screen.queryByText('SA East')).toBeNull();
  expect(screen.queryByRole('dialog')).toBeNull();
  expect(within(screen.getByRole('banner')).getByText('Globex')).toBeTruthy();
  expect(screen.getByText('You now work in Globex.')).toBeTruthy();
});

test('a switch that fails says so and changes nothing', async () => {
  const cleo = await home('cleo@acme.example');
  await cleo.user.click(await screen.findByRole('button', { name: 'Continue' }));
  await screen.findByText('SA East');
  await cleo.user.click(screen.getByRole('button', { name: /Acme Logistics/ }));
  cleo.offline = true;
  await cleo.user.click(screen.getByRole('button', { name: 'Switch' }));
  expect((await screen.findByRole('alert')).textContent).toMatch(/could not be reached/);
  expect(screen.getByTitle('Switch tenant').textContent).toBe('TenantAcme Logistics');
});

test('signing out ends the session at the server and leaves nothing on the page', async () => {
  const ada = await home('ada@acme.example');
  await screen.findByText('EU North');
  await ada.user.click(screen.getByText('Sign out'));
  expect(await screen.findByText('You are signed out.')).toBeTruthy();
  expect(screen.queryByText('EU North')).toBeNull();
  await ada.open('/');
  await waitFor(() => expect(ada.path()).toMatch(/^\/sign-in/));
});

test('a sign-out that did not reach the server does not pretend', async () => {
  const ada = await home('ada@acme.example');
  await screen.findByText('EU North');
  ada.offline = true;
  await ada.user.click(screen.getByText('Sign out'));
  expect(await screen.findByText(/You are still signed in/)).toBeTruthy();
  expect(ada.path()).toBe('/');
});

test('a session that ends while the page is open leads to the sign-in, with the way back', async () => {
  const ada = await home('ada@acme.example');
  await screen.findByText('EU North');
  ada.api.endSessions();
  await pass(6_000);
  expect(await screen.findByText(/Your session has ended/)).toBeTruthy();
  expect(ada.path()).toBe('/sign-in?reason=ended');
  await ada.signIn('ada@acme.example');
  expect(await screen.findByText('EU North')).toBeTruthy();
});

test('a fault of the page is told as such, with what a report needs', async () => {
  const ada = person();
  const log = vi.spyOn(console, 'error').mockImplementation(() => {});
  ada.between = (request) => (request.url.endsWith('/v1/me') ? new Response('{"user":null}') : request.url.endsWith('/v1/permissions') ? new Response('{"items":[]}') : undefined);
  await ada.open('/');
  expect(await screen.findByRole('heading', { name: 'This page met a fault' })).toBeTruthy();
  expect(screen.getByText(/TypeError/).textContent).toContain('2026-03-01T12:00');
  expect(screen.getByRole('button', { name: 'Reload' })).toBeTruthy();
  log.mockRestore();
});

test('an address that does not exist says so and leads home', async () => {
  const ada = await home('ada@acme.example');
  await screen.findByText('EU North');
  await ada.open('/no/such/page');
  expect(await screen.findByText('There is no such page')).toBeTruthy();
});
