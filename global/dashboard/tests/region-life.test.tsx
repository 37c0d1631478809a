import { screen, waitFor, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { world as freshWorld } from '../mock/world.js';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

const ADMIN = 'dora@provider.example';

async function at(path: string, email = ADMIN, options?: Parameters<typeof person>[0]) {
  const someone = person(options);
  await someone.enter(email, path);
  return someone;
}

type Someone = Awaited<ReturnType<typeof at>>;

const button = (name: string | RegExp) => screen.getByRole<HTMLButtonElement>('button', { name });
const region = ({ api }: Someone, key: string) => api.world.regions.find(({ slug }) => slug === key)!;

async function confirm(someone: Someone, submit: string, slug?: string): Promise<void> {
  await someone.user.type(screen.getByLabelText('Reason'), 'The site closes.');
  if (slug) {
    await someone.user.click(button(submit));
    expect(someone.calls.filter((call) => call.startsWith('POST'))).toEqual([]); // not before it was typed
    await someone.user.type(screen.getByLabelText(`Type ${slug} to confirm`), slug);
  }
  await someone.user.click(button(submit));
}

test('a region is drained once its slug was typed and a reason given, and put back', async () => {
  const dora = await at('/regions/eu-north');
  await dora.user.click(await screen.findByRole('button', { name: 'Drain…' }));
  expect(screen.getByRole('dialog').textContent).toContain('No tenant is newly entitled to it.');
  expect(screen.queryByRole('button', { name: 'Remove…' })).toBeNull();
  await confirm(dora, 'Drain region', 'eu-north');
  expect(await screen.findByText('EU North is being drained.')).toBeTruthy();
  expect(await screen.findByText(/what is there goes on, and no tenant/)).toBeTruthy();
  expect(dora.api.world.reasons).toEqual(['The site closes.']);
  await dora.user.click(await screen.findByRole('button', { name: 'Put back in service…' }));
  await confirm(dora, 'Put back in service');
  expect(await screen.findByRole('button', { name: 'Drain…' })).toBeTruthy();
  expect(region(dora, 'eu-north').lifecycle).toBe('active');
});

test('a step without a reason is refused beside its field', async () => {
  const dora = await at('/regions/eu-north');
  await dora.user.click(await screen.findByRole('button', { name: 'Drain…' }));
  await dora.user.type(screen.getByLabelText('Type eu-north to confirm'), 'eu-north{Enter}');
  expect(screen.getByRole('alert').textContent).toContain('Reason: Say why, in one sentence.');
  expect(document.activeElement).toBe(screen.getByLabelText('Reason'));
});

test('a region to which somebody is entitled is not removed, and it is said where that ends', async () => {
  const dora = await at('/regions/eu-west');
  await dora.user.click(await screen.findByRole('button', { name: 'Remove…' }));
  await confirm(dora, 'Remove region', 'eu-west');
  expect((await screen.findByRole('alert')).textContent).toContain('1 tenant is entitled to eu-west: end the entitlements first.');
  expect(screen.getByRole('link', { name: 'Go to tenants' })).toBeTruthy();
  expect(region(dora, 'eu-west').lifecycle).toBe('draining');
});

test('a removed region is shown as such: its history, and nothing to do', async () => {
  const world = freshWorld();
  world.entitlements = {};
  const dora = await at('/regions/eu-west', ADMIN, { world });
  await dora.user.click(await screen.findByRole('button', { name: 'Remove…' }));
  expect(screen.getByRole('dialog').textContent).toContain('Nothing brings it back, and its slug is never used again.');
  await confirm(dora, 'Remove region', 'eu-west');
  expect(await screen.findByText(/no longer part of the federation\. Its figures are the last/)).toBeTruthy();
  expect(await screen.findByRole('table', { name: 'Probes of EU West' })).toBeTruthy();
  for (const name of ['Edit…', 'Drain…', 'Put back in service…', 'Remove…']) expect(screen.queryByRole('button', { name })).toBeNull();
  expect(screen.queryByRole('link', { name: 'Open console' })).toBeNull();
  expect(within(screen.getByRole('heading', { level: 1 }).parentElement!).queryByText('Healthy')).toBeNull();

  await dora.user.click(within(screen.getByRole('navigation', { name: 'Main' })).getByRole('link', { name: 'Regions' }));
  const table = within(await screen.findByRole('table', { name: 'All regions of the federation' }));
  const last = (await table.findAllByRole('row')).at(-1)!;
  expect(last.textContent).toContain('EU West');
  expect(within(last).getByText('Removed')).toBeTruthy();
  expect(within(last).queryByText('Healthy')).toBeNull();
  expect(screen.getByText(/^4 regions .* 1 removed$/)).toBeTruthy();
});

test('a region that nobody joined is removed with its join token', async () => {
  const world = freshWorld();
  Object.assign(world.regions.find(({ slug }) => slug === 'sa-east')!, { lifecycle: 'registered' });
  world.entitlements = {};
  const dora = await at('/regions/sa-east', ADMIN, { world });
  await dora.user.click(await screen.findByRole('button', { name: 'Remove…' }));
  expect(screen.getByRole('dialog').textContent).toContain('a join token that was given out is worth nothing');
  await confirm(dora, 'Remove region', 'sa-east');
  await waitFor(() => expect(screen.queryByText('No gateway has joined')).toBeNull());
  expect(await screen.findByText('Removed')).toBeTruthy();
});

test('who may not is offered no step', async () => {
  await at('/regions/eu-west', 'eli@provider.example');
  await screen.findByRole('heading', { level: 1, name: 'EU West' });
  for (const name of ['Drain…', 'Put back in service…', 'Remove…']) expect(screen.queryByRole('button', { name })).toBeNull();
});
