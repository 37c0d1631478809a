// The pages of staff and of a tenant's administrator over the mock: seen in both themes and on a narrow screen, and used
// where something can go wrong that only a browser shows (focus, dialogs, leaving a page).
import { acme, PASSWORD } from '../../global/dashboard/mock/world.js';
import { audit } from './audit.mjs';
import { equal, that } from './checks.mjs';
import { enter, person } from './person.mjs';

export const pages = (api) => async ({ base, browser, check, quiet, shoot }) => {
  for (const theme of ['light', 'dark']) {
    const someone = await person(browser, base, { theme });
    const { page } = someone;
    const look = async (name) => {
      equal(await audit(page), [], `faults of ${name}`);
      await shoot(page, `${name}-${theme}`);
    };
    /** Nothing runs out of a narrow page, and what is on it keeps its names and contrast. */
    const narrow = async (name) => {
      await page.setViewportSize({ width: 390, height: 800 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      that(wide <= 0, `${name} is ${wide} pixels too wide`);
      const cut = await page.evaluate(() => [...document.querySelectorAll('table')].filter((table) => table.offsetWidth > table.parentElement.clientWidth).map((table) => table.caption.textContent));
      equal(cut, [], `tables of ${name} that run out of their frame`);
      await look(`${name}-narrow`);
      await page.setViewportSize({ width: 1360, height: 860 });
    };
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute('name'));

    await page.goto(`${base}/sign-in`);
    await enter(page, { email: 'dora@provider.example', password: PASSWORD });
    await page.getByLabel('Six-digit code').fill('271828');
    await page.keyboard.press('Enter');
    await page.getByRole('table', { name: 'All regions of the federation' }).getByText('EU North').waitFor();

    await check(`the federation fits a narrow screen (${theme})`, () => narrow('federation'));
    await check(`staff read the register of tenants (${theme})`, async () => {
      await page.getByRole('link', { name: 'Tenants' }).click();
      await page.getByText('Umbrella Pharmaceuticals').waitFor();
      await look('tenants');
      await narrow('tenants');
      await page.getByRole('searchbox').fill('acme');
      await page.getByRole('link', { name: 'Globex' }).waitFor({ state: 'detached' });
      equal(new URL(page.url()).search, '?search=acme', 'address');
      await page.getByRole('link', { name: 'Acme Logistics' }).click();
      await page.getByText('us-east', { exact: true }).waitFor();
      await look('tenant');
      await narrow('tenant');
    });
    await check(`what is asked before a tenant is suspended or deleted can be left with Escape (${theme})`, async () => {
      for (const [opener, name] of [['Suspend…', 'suspend'], ['Delete…', 'delete'], ['Entitle to a region', 'entitle'], ['Rename…', 'rename']]) {
        await page.getByRole('button', { name: opener }).click();
        await page.getByRole('dialog').waitFor();
        await look(name);
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
        equal(await page.evaluate(() => document.activeElement?.textContent), opener, 'focus is back');
      }
    });
    await check(`an entitlement that somebody else changes meanwhile is shown with both, and kept (${theme})`, async () => {
      const [entitlement] = api.world.entitlements[api.world.tenants.find(({ slug }) => slug === 'acme').id];
      const before = structuredClone(entitlement.limits);
      someone.allow(`412 /v1/tenants/${api.world.tenants.find(({ slug }) => slug === 'acme').id}/entitlements/${entitlement.id}`);
      await page.getByRole('button', { name: 'Change the entitlement to eu-north' }).click();
      await page.getByLabel('Clusters').fill('8');
      await look('entitlement-edit');
      await narrow('entitlement-edit');
      entitlement.limits = { ...before, clusters: 6, hosts: 90 };
      await page.keyboard.press('Enter');
      await page.getByText(/Somebody else changed this/).waitFor();
      await look('overtaken');
      await narrow('overtaken');
      await page.getByRole('radio', { name: /Keep mine/ }).press('ArrowDown');
      await page.getByRole('radio', { name: /Keep mine/ }).check();
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByText('8 clusters · 90 hosts').waitFor();
      entitlement.limits = before;
    });
    await check(`a wrong value of a form takes the focus and is told beside it (${theme})`, async () => {
      someone.allow('422 /v1/tenants');
      await page.goto(`${base}/new/tenant`);
      await page.getByLabel('Name', { exact: true }).fill('Vandelay');
      await page.getByLabel('E-mail').fill('art');
      await page.getByLabel('Display name').fill('Art Vandelay');
      await page.keyboard.press('Enter');
      await page.getByRole('alert').waitFor();
      equal(await focused(), '/admin/email', 'focus');
      await look('new-tenant-refused');
      await narrow('new-tenant-refused');
    });
    await check(`a form that was filled in is not left by a slip (${theme})`, async () => {
      await page.getByRole('link', { name: 'Regions' }).click();
      await page.getByRole('dialog', { name: 'Leave this page?' }).waitFor();
      await look('leave');
      await page.getByRole('button', { name: 'Stay' }).click();
      equal(await page.getByLabel('Display name').inputValue(), 'Art Vandelay', 'what was typed');
      await page.getByRole('link', { name: 'Regions' }).click();
      await page.getByRole('button', { name: 'Leave' }).click();
      await page.getByRole('heading', { name: 'Federation' }).waitFor();
    });
    await check(`a region shows its health over time, and the chart is read by pointer and by keyboard (${theme})`, async () => {
      await page.getByRole('link', { name: 'US East' }).click();
      const chart = page.getByRole('img', { name: /probes in the last 24 hours/ });
      await chart.waitFor();
      await look('region');
      await narrow('region');
      await chart.hover({ position: { x: 300, y: 60 } });
      await page.getByText(/median .* · longest/).waitFor();
      await page.mouse.move(0, 0);
      await chart.focus();
      await page.keyboard.press('End');
      await page.getByText(/failing · median/).waitFor();
      await page.getByText('7 days', { exact: true }).click();
      await page.getByRole('img', { name: /in the last 7 days/ }).waitFor();
    });
    await check(`a region is registered, and its token is shown until it was kept (${theme})`, async () => {
      await page.goto(`${base}/new/region`);
      await page.getByLabel('Name', { exact: true }).fill(`Made ${theme}`);
      await page.getByLabel('Address', { exact: true }).fill('https://made.example');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: `Made ${theme} is registered` }).waitFor();
      await look('join');
      await narrow('join');
      await page.getByRole('button', { name: 'I have kept it' }).click();
      await page.getByRole('link', { name: `Go to Made ${theme}` }).click();
      await page.getByText('No gateway has joined').waitFor();
      await look('region-registered');
    });
    await check(`draining a region can be left, and one that nobody joined is removed and shown as such (${theme})`, async () => {
      await page.getByRole('button', { name: 'Remove…' }).click();
      await page.getByLabel('Reason').fill('A slip.');
      await page.getByLabel(`Type made-${theme} to confirm`).fill(`made-${theme}`);
      await look('region-remove');
      await narrow('region-remove');
      await page.getByRole('button', { name: 'Remove region' }).click();
      await page.getByText('no longer part of the federation.').first().waitFor();
      await look('region-removed');
      await narrow('region-removed');
      await page.goto(`${base}/`);
      await page.getByRole('row', { name: `Made ${theme}` }).getByText('Removed', { exact: true }).waitFor();
      await look('federation-removed');
      await page.goto(`${base}/regions/eu-west`);
      await page.getByText('It is being drained').waitFor();
      await look('region-draining');
      await page.goto(`${base}/regions/eu-north`);
      await page.getByRole('button', { name: 'Drain…' }).click();
      await page.getByRole('dialog').waitFor();
      await look('region-drain');
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      equal(await page.evaluate(() => document.activeElement?.textContent), 'Drain…', 'focus is back');
    });
    await check(`staff find a person’s sessions, and look after their own account (${theme})`, async () => {
      await page.getByRole('link', { name: 'Accounts' }).click();
      await page.getByLabel('E-mail of the person').fill('dora@provider.example');
      await page.keyboard.press('Enter');
      await page.getByText('This one').waitFor();
      await look('accounts');
      await narrow('accounts');
      await page.getByRole('button', { name: /^Account of/ }).click();
      await page.getByRole('link', { name: 'Account, password and sessions' }).click();
      await page.getByText('This one').waitFor();
      equal(await page.locator('#account').isVisible(), false, 'menu open');
      await look('account');
      await narrow('account');
    });
    await check(`the own password is changed where code and length are right (${theme})`, async () => {
      someone.allow('401 /v1/me/password');
      await page.getByRole('link', { name: 'Change password…' }).click();
      await page.getByLabel('Present password').waitFor();
      await look('password');
      await narrow('password');
      await page.keyboard.type('not this one');
      await page.getByLabel('New password').fill('too short');
      await page.keyboard.press('Enter');
      await page.getByRole('alert').waitFor();
      equal(await focused(), '/totp', 'focus');
      await look('password-refused');
      await narrow('password-refused');
      await page.keyboard.type('271828');
      await page.getByLabel('New password').fill('a much longer password');
      await page.keyboard.press('Enter');
      await page.getByText('nothing was changed').waitFor();
      await page.getByLabel('Present password').fill(PASSWORD);
      await page.keyboard.press('Enter');
      await page.getByText('signed in here alone').waitFor();
      await look('password-changed');
      api.world.accounts.find(({ email }) => email === 'dora@provider.example').password = PASSWORD;
    });
    await check(`a tenant’s administrator sees its people and adds one (${theme})`, async () => {
      await someone.context.clearCookies();
      await page.goto(`${base}/sign-in?return=/people`);
      await enter(page, { email: 'ada@acme.example', password: PASSWORD });
      await page.getByRole('link', { name: 'Cleo Merode' }).waitFor();
      await look('people');
      await page.getByRole('table', { name: 'Invitations to Acme Logistics' }).waitFor();
      await narrow('people');
      await page.getByRole('button', { name: 'Cancel the invitation of ivy@elsewhere.example' }).click();
      await page.getByRole('dialog').waitFor();
      await look('invitation-cancel');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Send the invitation of jon@elsewhere.example again' }).click();
      await page.getByText('Another mail is on its way').waitFor();
      await look('invitation-again');
      await page.getByRole('link', { name: 'Ada Byron' }).click();
      await page.getByText('This one').waitFor();
      await look('person');
      await narrow('person');
      await page.getByRole('button', { name: 'Change membership…' }).click();
      await page.getByRole('checkbox', { name: /Tenant administrator/ }).waitFor();
      await look('membership-edit');
      await narrow('membership-edit');
      await page.keyboard.press('Escape');
      await page.goto(`${base}/new/person`);
      await page.getByLabel('E-mail').fill(`new-${theme}@acme.example`);
      await page.getByLabel('Display name').fill('Nina New');
      await page.keyboard.press('Enter');
      await page.getByRole('alert').waitFor();
      equal(await focused(), '/roles', 'focus');
      await look('new-person-refused');
      await page.keyboard.press('Space');
      await page.getByRole('button', { name: 'Add person' }).click();
      await page.getByRole('heading', { name: 'Nina New is added' }).waitFor();
      await look('new-person');
    });
    await check(`a tenant’s administrator reads whom a second factor would be asked of (${theme})`, async () => {
      someone.allow(`409 /v1/tenants/${acme.id}/settings`);
      await page.getByRole('link', { name: 'Go to people' }).click();
      await page.getByRole('dialog', { name: 'Leave this page?' }).getByRole('button', { name: 'Leave' }).click();
      await page.getByRole('link', { name: 'Settings' }).click();
      await page.getByText('Optional').waitFor();
      await look('settings');
      await narrow('settings');
      await page.getByRole('button', { name: 'Require it of everybody…' }).click();
      await page.getByRole('dialog').waitFor();
      await look('settings-require');
      await narrow('settings-require');
      await page.getByRole('button', { name: 'Require it', exact: true }).click();
      await page.getByRole('link', { name: 'Go to your account' }).waitFor();
      await look('settings-refused');
      await page.keyboard.press('Escape');
    });
    await check(`a page that is not for one’s role says so (${theme})`, async () => {
      someone.allow('403 /v1/tenants');
      await page.goto(`${base}/tenants`);
      await page.getByText('Your role does not allow this').waitFor();
      await look('refused');
    });
    await quiet(someone, `pages (${theme})`);
    await someone.close();
  }
  that(api.world.regions.length > 5, 'the regions were made in the mock');
};
