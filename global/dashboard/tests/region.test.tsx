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

const ADMIN = 'dora@provider.example';
const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const button = (name: string | RegExp) => screen.getByRole('button', { name });

async function at(path: string, email = ADMIN, options?: Parameters<typeof person>[0]) {
  const someone = person(options);
  await someone.enter(email, path);
  return someone;
}

test('a region shows its health, what it told, its gateways, its history and its probes', async () => {
  const eli = await at('/', 'eli@provider.example');
  await eli.user.click(await screen.findByRole('link', { name: 'US East' }));
  await screen.findByRole('heading', { level: 1, name: 'US East' });
  for (const text of ['The region has v207', '4 days left', '40 ms behind', '11 active · 1 suspended']) {
    expect(screen.getByText(new RegExp(text, 'i'))).toBeTruthy();
  }
  const gateways = within(await screen.findByRole('table', { name: 'Gateways of US East' }));
  await waitFor(() => expect(gateways.getAllByRole('rowheader')).toHaveLength(2));
  const chart = await screen.findByRole('img');
  expect(chart.getAttribute('aria-label')).toMatch(/^2,8\d\d probes in the last 24 hours · 98\.\d % good · 40 failing · 11 missed · typically/);
  const probes = within(screen.getByRole('table', { name: 'Probes of US East' }));
  expect(probes.getAllByText('Failing')).toHaveLength(20);
  await eli.user.click(button('Load more'));
  await waitFor(() => expect(probes.getAllByRole('rowheader')).toHaveLength(40));
});

test('the chart is read by the keyboard, and another range replaces it', async () => {
  const eli = await at('/regions/eu-north', 'eli@provider.example');
  const chart = await screen.findByRole('img');
  act(() => chart.focus());
  await eli.user.keyboard('{End}');
  expect(screen.getByText(/good · median .* · longest/)).toBeTruthy();
  await eli.user.click(screen.getByRole('radio', { name: '1 hour' }));
  await waitFor(() => expect(screen.getByRole('img').getAttribute('aria-label')).toContain('in the last hour'));
  expect(eli.calls).toContain('GET /v1/regions/eu-north/probes/summary');
});

test('a region that is silent says since when, and its figures are the last known ones', async () => {
  await at('/regions/ap-south', 'eli@provider.example');
  expect((await screen.findByRole('alert')).textContent).toBe('No answer to the last 600 probes.');
  expect(screen.getAllByText('5 h ago').length).toBeGreaterThan(0);
  expect(await screen.findByText('No gateway is known')).toBeTruthy();
});

test('a region is registered, its token is shown once, and the page sees the gateway come', async () => {
  const dora = await at('/new/region');
  await dora.user.type(await screen.findByLabelText('Name'), 'EU Central');
  await dora.user.type(screen.getByLabelText('Address'), 'https://eu.example/');
  await dora.user.click(button('Register region'));
  const address = screen.getByLabelText('Address');
  await waitFor(() => expect(document.activeElement).toBe(address));
  await dora.user.type(address, '{Backspace}{Enter}');
  await screen.findByRole('heading', { name: 'EU Central is registered' });
  const token = screen.getByText(/^exj_/).textContent!;
  expect(screen.getByText(/^exarch-gateway join .* --token-file -$/).textContent).not.toContain(token);
  await dora.user.click(button('Copy: Join token'));
  expect(await navigator.clipboard.readText()).toBe(token);
  expect(screen.getByText(/Waiting for the gateway/)).toBeTruthy();
  dora.api.world.regions.find(({ slug }) => slug === 'eu-central')!.lifecycle = 'joining';
  await pass(6_000);
  expect(await screen.findByText(/The gateway of EU Central has joined/)).toBeTruthy();
  expect(screen.queryByText(token)).toBeNull();
});

test('while nobody has joined a new token is made; one that came too late is told so', async () => {
  const world = freshWorld();
  Object.assign(world.regions.find(({ slug }) => slug === 'sa-east')!, { lifecycle: 'registered' });
  const dora = await at('/regions/sa-east', ADMIN, { world });
  await screen.findByText('No gateway has joined');
  world.regions.find(({ slug }) => slug === 'sa-east')!.lifecycle = 'joining';
  await dora.user.click(button('New join token'));
  expect((await screen.findByRole('alert')).textContent).toContain('only a registered one waits');
  world.regions.find(({ slug }) => slug === 'sa-east')!.lifecycle = 'registered';
  await dora.user.click(button('New join token'));
  expect(await screen.findByText(/^exj_/)).toBeTruthy();
});

test('who may not register is offered neither a form nor a token', async () => {
  const world = freshWorld();
  Object.assign(world.regions.find(({ slug }) => slug === 'sa-east')!, { lifecycle: 'registered' });
  await at('/regions/sa-east', 'eli@provider.example', { world });
  expect(await screen.findByText(/An administrator of the federation makes the token/)).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'New join token' })).toBeNull();
});
