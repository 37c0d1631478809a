import { screen, waitFor, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { world as freshWorld } from '../mock/world.js';
import { person } from './person';

afterEach(() => vi.unstubAllGlobals());

async function people(options?: Parameters<typeof person>[0]) {
  const someone = person(options);
  await someone.enter('ada@acme.example', '/people');
  return someone;
}

const button = (name: string | RegExp) => screen.getByRole('button', { name });
const table = async () => within(await screen.findByRole('table', { name: 'Invitations to Acme Logistics' }));
const row = async (name: RegExp) => within(await (await table()).findByRole('row', { name }));

test('who was invited and has not come is listed, with what became of the link', async () => {
  await people();
  const pending = await row(/Ivy Compton/);
  expect(pending.getByText('Pending')).toBeTruthy();
  expect(pending.getByText('Auditor')).toBeTruthy();
  expect(pending.getByText('Ada Byron')).toBeTruthy();
  expect((await row(/Jon Silkin/)).getByText('Expired')).toBeTruthy();
});

test('an invitation that somebody accepts or makes elsewhere leaves or joins the list by itself', async () => {
  const ada = await people();
  const { world } = ada.api;
  await row(/Ivy Compton/);
  const [ivy, jon] = world.invitations;
  world.invitations = [{ ...jon!, id: 'inv_3', email: 'kit@elsewhere.example', display_name: 'Kit Wright' }, jon!];
  expect(await row(/Kit Wright/)).toBeTruthy();
  await waitFor(() => expect(screen.queryByText(ivy!.email)).toBeNull());
  world.invitations = [];
  await waitFor(() => expect(screen.queryByRole('heading', { name: 'Invitations' })).toBeNull());
});

test('an expired invitation is sent again and is good for another day', async () => {
  const ada = await people();
  await row(/Jon Silkin/);
  await ada.user.click(button('Send the invitation of jon@elsewhere.example again'));
  expect(await screen.findByText(/Another mail is on its way to jon@elsewhere.example/)).toBeTruthy();
  await waitFor(async () => expect((await row(/Jon Silkin/)).getByText('Pending')).toBeTruthy());
  expect(ada.api.world.invitations.find(({ id }) => id === 'inv_1')!.by).toBe('usr_ada');
});

test('an invitation that cannot be sent again stays, and why is said', async () => {
  const world = freshWorld();
  world.mail = false;
  const ada = await people({ world });
  await row(/Jon Silkin/);
  await ada.user.click(button('Send the invitation of jon@elsewhere.example again'));
  expect(await screen.findByText(/No mail was sent to jon@elsewhere.example. This installation sends no mail/)).toBeTruthy();
  expect((await row(/Jon Silkin/)).getByText('Expired')).toBeTruthy();
});

test('an invitation is cancelled once it was read what that does, and can be kept', async () => {
  const ada = await people();
  await row(/Ivy Compton/);
  await ada.user.click(button('Cancel the invitation of ivy@elsewhere.example'));
  expect(screen.getByRole('dialog').textContent).toContain('The link in the mail is worth nothing from then on.');
  await ada.user.click(button('Keep it'));
  expect(screen.queryByRole('dialog')).toBeNull();
  await ada.user.click(button('Cancel the invitation of ivy@elsewhere.example'));
  await ada.user.click(button('Cancel invitation'));
  expect(await screen.findByText('The invitation of ivy@elsewhere.example is cancelled.')).toBeTruthy();
  await waitFor(() => expect(screen.queryByText('Ivy Compton')).toBeNull());
  expect(ada.api.world.invitations.map(({ id }) => id)).toEqual(['inv_1']);
});

test('where the invitations cannot be loaded the people are there all the same', async () => {
  const ada = person();
  ada.between = (request) => (new URL(request.url).pathname === '/v1/invitations' ? new Response('', { status: 500 }) : undefined);
  await ada.enter('ada@acme.example', '/people');
  expect(await screen.findByText('The invitations could not be loaded')).toBeTruthy();
  expect(screen.getByText('Cleo Merode')).toBeTruthy();
});
