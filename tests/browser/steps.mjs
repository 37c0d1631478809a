// What the mock can show and a federation at hand may not: second factor, forced change, choice and switch of the tenant,
// a session that ends under the page, pages that do not exist.
import { FIRST_CODE } from '../../global/dashboard/mock/api.js';
import { PASSWORD, globex } from '../../global/dashboard/mock/world.js';
import { audit } from './audit.mjs';
import { equal } from './checks.mjs';
import { enter, person } from './person.mjs';

export const steps = (api) => async ({ base, browser, check, quiet, shoot }) => {
  for (const theme of ['light', 'dark']) {
    const someone = await person(browser, base, { theme });
    const { page, context } = someone;
    someone.allow('401 /v1/me', '401 /v1/me/regions'); // sessions end here on purpose
    const start = async (email) => {
      await context.clearCookies();
      await page.goto(`${base}/sign-in`);
      await enter(page, { email, password: PASSWORD });
    };
    const look = async (name) => {
      equal(await audit(page), [], `faults of ${name}`);
      await shoot(page, `${name}-${theme}`);
    };

    await check(`a second factor is asked for and taken (${theme})`, async () => {
      await start('dora@provider.example');
      await page.getByRole('heading', { name: 'Second factor' }).waitFor();
      await look('second-factor');
      await page.keyboard.type('271828');
      await page.keyboard.press('Enter');
      await page.getByRole('table', { name: 'All regions of the federation' }).getByText('eu-west', { exact: true }).waitFor();
      await look('regions-and-federation');
    });
    await check(`a second factor is set up, with recovery codes that are shown before anything else (${theme})`, async () => {
      for (const account of api.world.accounts.filter(({ mustEnrol }) => mustEnrol)) delete account.totp;
      await start('hal@provider.example');
      await page.getByRole('heading', { name: 'Set up a second factor' }).waitFor();
      await look('set-up');
      await page.keyboard.type(FIRST_CODE);
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Keep your recovery codes' }).waitFor();
      await look('recovery-codes');
      await page.getByRole('button', { name: 'I have kept them' }).click();
      await page.getByRole('table', { name: 'All regions of the federation' }).getByText('eu-west').waitFor();
    });
    await check(`a password that must change is asked for (${theme})`, async () => {
      await start('gus@acme.example');
      await page.getByRole('heading', { name: 'Choose a new password' }).waitFor();
      await page.keyboard.type('short');
      await page.keyboard.press('Enter');
      await page.getByText(/Too short/).waitFor();
      await look('new-password');
    });
    await check(`who has no tenant is told so (${theme})`, async () => {
      someone.allow('403 /v1/auth/sign-in');
      await start('finn@nowhere.example');
      await page.getByRole('heading', { name: 'You belong to no tenant' }).waitFor();
      await look('no-tenant');
    });
    await check(`the tenant is chosen with the arrow keys and Enter (${theme})`, async () => {
      await start('cleo@acme.example');
      await page.getByRole('heading', { name: 'Choose a tenant' }).waitFor();
      await look('choose-tenant');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await page.getByText('eu-west', { exact: true }).waitFor();
    });
    await check(`switching the tenant can be left with Escape, and done by keyboard (${theme})`, async () => {
      const opener = page.getByRole('button', { name: 'Tenant Globex' });
      await opener.focus();
      await page.keyboard.press('Enter');
      const dialog = page.getByRole('dialog', { name: 'Switch tenant' });
      await dialog.waitFor();
      await look('switch-tenant');
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
      equal(await opener.evaluate((element) => element === document.activeElement), true, 'focus is back');
      await page.keyboard.press('Enter');
      await dialog.waitFor();
      equal(await page.evaluate(() => document.activeElement?.getAttribute('type')), 'radio', 'focus in the dialog');
      await page.keyboard.press('Enter');
      await page.getByText('You now work in Acme Logistics.').waitFor();
      await page.getByText('sa-east', { exact: true }).waitFor();
      equal(await page.getByText('eu-west', { exact: true }).count(), 0, 'regions of the other tenant');
      await look('switched');
    });
    await check(`another tab learns of the switch and of signing out (${theme})`, async () => {
      const other = await context.newPage();
      await other.goto(base);
      await other.getByText('sa-east', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Tenant Acme Logistics' }).click();
      await page.getByRole('button', { name: 'Switch', exact: true }).click();
      const asked = other.getByRole('dialog', { name: 'You work in Globex now' });
      await asked.waitFor();
      equal(await audit(other), [], 'faults of the other tab');
      await shoot(other, `other-tab-${theme}`);
      await other.setViewportSize({ width: 390, height: 800 });
      await shoot(other, `other-tab-narrow-${theme}`);
      await other.keyboard.press('Escape');
      await other.keyboard.press('Escape');
      await asked.waitFor();
      equal(await other.getByText('eu-west', { exact: true }).count(), 0, 'regions of the other tenant');
      await asked.getByRole('button', { name: 'Switch back to Acme Logistics' }).click();
      await asked.waitFor({ state: 'detached' });
      await other.getByText('sa-east', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Go on in Acme Logistics' }).click();
      await page.getByText('sa-east', { exact: true }).waitFor();
      await page.getByRole('button', { name: /^Account of/ }).click();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await other.getByText(/Your session has ended/).waitFor();
      await other.close();
    });
    await check(`a session that ends leads to the sign-in and back to the same address (${theme})`, async () => {
      await start('ada@acme.example');
      await page.getByText('us-east', { exact: true }).waitFor();
      await page.goto(`${base}/?from=test`);
      await page.getByText('us-east', { exact: true }).waitFor();
      api.endSessions();
      await page.getByText(/Your session has ended/).waitFor();
      await look('session-ended');
      await enter(page, { email: 'ada@acme.example', password: PASSWORD });
      await page.getByText('us-east', { exact: true }).waitFor();
      equal(page.url(), `${base}/?from=test`, 'address');
    });
    await check(`a program is let in with its code (${theme})`, async () => {
      for (const device of api.world.devices) delete device.answer;
      await page.goto(`${base}/device?user_code=BCDF-GHJK`);
      await page.getByRole('heading', { name: 'Sign in a program' }).waitFor();
      await look('device-code');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Let this program in?' }).waitFor();
      await look('device-asker');
      await page.getByRole('button', { name: 'Let it in' }).click();
      await page.getByRole('heading', { name: 'The program is signed in' }).waitFor();
    });
    await check(`a new password is chosen by a link in a mail (${theme})`, async () => {
      await page.goto(`${base}/reset-password`);
      await page.getByRole('heading', { name: 'Forgot your password?' }).waitFor();
      await look('forgot-password');
      api.resets.set(`of-${theme}`, 'ben@globex.example');
      await page.goto('about:blank');
      await page.goto(`${base}/reset-password#of-${theme}`);
      await page.getByRole('heading', { name: 'Choose a new password' }).waitFor();
      await look('reset-password');
      await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
      await page.getByRole('button', { name: 'Change password' }).click();
      await page.getByRole('heading', { name: 'Your password is changed' }).waitFor();
    });
    await check(`an invitation is accepted by a link in a mail (${theme})`, async () => {
      const membership = { id: 'mem_guest', tenant: globex, roles: ['auditor'], regions: [], created_at: '2026-03-01T12:00:00Z' };
      api.invitations.set(`of-${theme}`, { email: `new-${theme}@elsewhere.example`, membership });
      await page.goto('about:blank');
      await page.goto(`${base}/invite#of-${theme}`);
      await page.getByRole('heading', { name: 'Work in Globex' }).waitFor();
      await look('invitation');
      await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
      await page.getByRole('button', { name: 'Accept' }).click();
      await page.getByRole('heading', { name: 'You are in Globex' }).waitFor();
    });
    await check(`a page that does not exist says so (${theme})`, async () => {
      await page.goto(`${base}/no/such/page`);
      await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
      await look('not-found');
    });
    await quiet(someone, `steps (${theme})`);
    await someone.close();
  }
};
