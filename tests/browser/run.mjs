// The web app as people use it, against a running federation:
//
//   node run.mjs federation.json [--shots folder]
//
// The file says where the global is and who may do what (see `federation()` below). Each check is a line; the last line
// counts them, and the exit code is 0 only when none failed. Nothing is changed in the federation but sessions.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { audit } from './audit.mjs';
import { checks, equal, that } from './checks.mjs';
import { arrive, enter, launch, person, secondFactor, signIn } from './person.mjs';

const POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";
const COOKIE = '__Host-exarch-global';
const FIRST_LOAD_BYTES = 250 * 1024;
const STATES = ['Registered', 'Joining', 'Draining', 'Removed', 'Unknown', 'Healthy', 'Degraded', 'Unreachable'];
const STAFF = ['system-admin', 'provider-operator'];

/**
 * {"global":{"url"},"regions":[{"slug","url"}],"accounts":[{"email","password","tenant","roles","regions"}]}
 * `regions` of an account are the slugs it may enter in `tenant` (a slug). One account with two, one with one.
 */
export function federation(text) {
  const { global, regions, accounts } = JSON.parse(text);
  const staff = accounts.find(({ roles }) => roles.some((role) => STAFF.includes(role)));
  const people = accounts.filter((account) => account !== staff);
  const two = people.find((account) => account.regions.length === 2);
  const one = people.find((account) => account.regions.length === 1);
  if (!global?.url || !two || !one) throw new Error('the file needs a global URL, an account with two regions and one with one');
  return { base: global.url.replace(/\/$/, ''), regions, two, one, staff };
}

/** `more` is called with the tools of a run for checks that only some federations can show. */
export async function run({ base, regions, two, one, staff }, { shots, more } = {}) {
  if (shots) await mkdir(shots, { recursive: true });
  const { check, skip, finish } = checks();
  const browser = await launch();
  const rows = (page) => page.getByRole('table', { name: 'Regions you may enter' }).locator('tbody tr');
  const slugs = (page) => rows(page).locator('th .font-mono').allTextContents();
  const shoot = (page, name) => shots && page.screenshot({ path: join(shots, `${name}.png`), animations: 'disabled' });
  const quiet = (someone, where) => check(`no policy violation, error or failed request: ${where}`, async () => equal(someone.complaints(), [], 'complaints'));

  // --- first visit and refusals ----------------------------------------------------------------------------
  for (const theme of ['light', 'dark']) {
    const visitor = await person(browser, base, { theme });
    const { page } = visitor;
    visitor.allow('401 /v1/me');
    const loaded = [];
    page.on('response', (response) => loaded.push(response));
    const first = await page.goto(`${base}/`);
    await check(`a first visit ends at the sign-in form (${theme})`, async () => {
      await page.waitForURL(`${base}/sign-in`);
      await page.getByLabel('E-mail').waitFor();
      equal(await page.evaluate(() => document.activeElement?.getAttribute('name')), 'email', 'focus');
      equal(await page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches), theme === 'dark', 'dark preference');
    });
    await check(`sign-in: names, headings, contrast (${theme})`, async () => equal(await audit(page), [], 'faults'));
    await shoot(page, `sign-in-${theme}`);
    if (theme === 'light') {
      await check('the page carries the security headers', async () => {
        const headers = first.headers();
        equal(headers['content-security-policy'], POLICY, 'policy');
        equal(headers['x-content-type-options'], 'nosniff', 'x-content-type-options');
        equal(headers['x-frame-options'], 'DENY', 'x-frame-options');
        equal(headers['referrer-policy'], 'no-referrer', 'referrer-policy');
        that(headers['strict-transport-security'], 'no strict-transport-security');
      });
      await check('the first load is small', async () => {
        const { gzipSync } = await import('node:zlib');
        const bodies = await Promise.all(loaded.filter((each) => each.ok()).map((each) => each.body()));
        const bytes = bodies.reduce((sum, body) => sum + gzipSync(body).length, 0);
        that(bytes > 10_000 && bytes < FIRST_LOAD_BYTES, `${bytes} bytes compressed`);
      });
      await check('password managers find what they look for', async () => {
        equal(await page.getByLabel('E-mail').getAttribute('autocomplete'), 'username');
        equal(await page.getByLabel('Password', { exact: true }).getAttribute('autocomplete'), 'current-password');
        equal(await page.locator('form input[name=email], form input[type=password]').count(), 2, 'fields in the form');
      });
    }
    visitor.allow('401 /v1/auth/sign-in');
    let sentence;
    await check(`a wrong password is refused in one sentence, beside the form (${theme})`, async () => {
      await enter(page, { email: two.email, password: `not ${two.password}` });
      sentence = await page.getByRole('alert').textContent();
      that(sentence.length > 20, `the sentence is «${sentence}»`);
      equal(await page.getByLabel('E-mail').inputValue(), two.email, 'address kept');
      equal(await page.evaluate(() => document.activeElement?.getAttribute('name')), 'password', 'focus');
      equal(new URL(page.url()).pathname, '/sign-in', 'path');
    });
    await check(`the refusal: names, headings, contrast (${theme})`, async () => equal(await audit(page), [], 'faults'));
    await shoot(page, `sign-in-refused-${theme}`);
    if (theme === 'light') {
      await check('an unknown address is refused in the same words', async () => {
        const answer = page.waitForResponse('**/v1/auth/sign-in');
        await enter(page, { email: `nobody-${Date.now()}@invalid.example`, password: two.password });
        equal((await answer).status(), 401, 'status');
        await page.waitForFunction(() => !document.querySelector('[type=submit][aria-disabled]'));
        equal(await page.getByRole('alert').textContent(), sentence, 'sentence');
      });
    }
    await quiet(visitor, `signing in wrongly (${theme})`);
    await visitor.close();
  }

  // --- the account with two regions ------------------------------------------------------------------------
  for (const theme of ['light', 'dark']) {
    const ada = await person(browser, base, { theme });
    const { page } = ada;
    await check(`${two.email} signs in and sees exactly their regions (${theme})`, async () => {
      await signIn(page, base, two);
      equal(new URL(page.url()).pathname, '/', 'path');
      equal((await slugs(page)).sort(), [...two.regions].sort(), 'regions');
    });
    await check(`the tenant in force is visible (${theme})`, async () => {
      const me = await page.evaluate(async () => (await fetch('/v1/me')).json());
      equal(me.tenant.slug, two.tenant, 'tenant at the server');
      await page.getByRole('banner').getByText(me.tenant.name, { exact: true }).first().waitFor();
    });
    await check(`regions: names, headings, contrast (${theme})`, async () => equal(await audit(page), [], 'faults'));
    await shoot(page, `regions-${theme}`);
    if (theme === 'light') await asTwo(ada);
    await quiet(ada, `regions (${theme})`);
    await ada.close();
  }

  async function asTwo(ada) {
    const { page, context } = ada;
    await check('each region has a state in a word and its own address', async () => {
      for (const slug of two.regions) {
        const row = rows(page).filter({ has: page.getByText(slug, { exact: true }) });
        const state = (await row.locator('td').first().textContent()).trim();
        that(STATES.some((word) => state.startsWith(word)), `the state of ${slug} is «${state}»`);
        const { url } = regions.find((region) => region.slug === slug);
        equal((await row.getByRole('button').textContent()).trim(), new URL(url).host, `address of ${slug}`);
      }
    });
    await check('the session is in a cookie that scripts cannot read, and nowhere else', async () => {
      const cookie = (await context.cookies()).find(({ name }) => name === COOKIE);
      const { httpOnly, secure, sameSite, path } = cookie ?? {};
      equal({ httpOnly, secure, sameSite, path }, { httpOnly: true, secure: true, sameSite: 'Lax', path: '/' }, COOKIE);
      const kept = await page.evaluate(() => [document.cookie, ...Object.keys(localStorage), ...Object.keys(sessionStorage)].filter((key) => key && !key.startsWith('tsr-scroll')));
      equal(kept, [], 'readable storage');
    });
    await check('the list is live: changes come by a stream', async () => {
      await page.getByText(/^Live, as of/).waitFor({ timeout: 6_000 });
    });
    await check('cut off, the figures stay and are called stale; joined again, they are fresh', async () => {
      await ada.cutOff(true);
      try {
        await page.getByText('Stale', { exact: true }).waitFor({ timeout: 12_000 });
        equal((await slugs(page)).sort(), [...two.regions].sort(), 'regions');
        equal(await audit(page), [], 'faults');
        await shoot(page, 'regions-stale');
      } finally {
        await ada.cutOff(false);
      }
      await page.getByText('Stale', { exact: true }).waitFor({ state: 'detached', timeout: 12_000 });
    });
    if (two.roles.includes('tenant-admin')) {
      await check('a tenant’s administrator sees its people and where one is signed in', async () => {
        await page.getByRole('link', { name: 'People' }).click();
        const people = page.getByRole('table', { name: 'People of the tenant' });
        await people.getByText(two.email, { exact: true }).waitFor();
        equal(await audit(page), [], 'faults of the list');
        await people.locator('tr', { has: page.getByText(two.email, { exact: true }) }).getByRole('link').click();
        await page.getByText('This one').waitFor();
        equal(await audit(page), [], 'faults of the person');
        await shoot(page, 'person');
      });
      await check('and the tenant’s settings, with whom a second factor would be asked of', async () => {
        await page.getByRole('link', { name: 'Settings' }).click();
        await page.getByRole('button', { name: /^(Require it of everybody|Make it optional)…$/ }).click();
        await page.getByRole('dialog').getByText(/signed out of the tenant at once|signs in with the password alone/).waitFor();
        equal(await audit(page), [], 'faults');
        await shoot(page, 'settings');
        await page.keyboard.press('Escape');
        await page.goto(base);
        await rows(page).first().waitFor();
      });
    } else skip('the people of a tenant', 'the account with two regions does not administer it');
    await check('a chosen theme holds over a reload', async () => {
      await page.getByRole('button', { name: /^Account of/ }).click();
      await page.getByText('Dark', { exact: true }).click();
      await shoot(page, 'account-menu-dark');
      await page.reload();
      await rows(page).first().waitFor();
      equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark', 'theme');
      await page.getByRole('button', { name: /^Account of/ }).click();
      equal(await audit(page), [], 'faults');
      await page.getByText('System', { exact: true }).click();
      await page.keyboard.press('Escape');
      equal(await page.locator('#account').isVisible(), false, 'menu open');
    });
    await check('on a narrow screen nothing runs out of the page', async () => {
      await page.setViewportSize({ width: 390, height: 800 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      that(wide <= 0, `${wide} pixels too wide`);
      await shoot(page, 'regions-narrow');
      await page.setViewportSize({ width: 1360, height: 860 });
    });
    await check('signing out ends the session; going back shows nothing', async () => {
      await page.getByRole('button', { name: /^Account of/ }).click();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('You are signed out.').waitFor();
      equal(await page.getByText(two.regions[0], { exact: true }).count(), 0, 'regions on the page');
      ada.allow('401 /v1/me', '401 /v1/me/regions');
      equal(await page.evaluate(async () => (await fetch('/v1/me')).status), 401, 'status of /v1/me');
      await page.goto(`${base}/`);
      await page.getByLabel('E-mail').waitFor();
      await page.goBack();
      await page.getByLabel('E-mail').waitFor();
    });
  }

  // --- the account with one region, without a mouse --------------------------------------------------------
  const ben = await person(browser, base);
  {
    const { page } = ben;
    const focused = () =>
      page.evaluate(() => {
        const element = document.activeElement;
        const ring = element?.closest('label') ?? element;
        const width = Math.max(parseFloat(getComputedStyle(element).outlineWidth), parseFloat(getComputedStyle(ring).outlineWidth));
        return { name: element?.getAttribute('aria-label') ?? element?.textContent?.trim() ?? '', visible: width >= 2 };
      });
    /** Tabs on until the focus is on something of that name; everything passed on the way must show its focus. */
    const tabTo = async (name) => {
      for (let n = 0; n < 30; n += 1) {
        await page.keyboard.press('Tab');
        const at = await focused();
        that(at.visible, `the focus is not visible on «${at.name}»`);
        if (name.test(at.name)) return;
      }
      throw new Error(`Tab does not reach ${name}`);
    };
    await check(`${one.email} signs in by keyboard alone and sees exactly one region`, async () => {
      await page.goto(`${base}/sign-in`);
      await page.getByLabel('E-mail').waitFor();
      await page.keyboard.type(one.email);
      await page.keyboard.press('Tab');
      await page.keyboard.type(one.password);
      await page.keyboard.press('Enter');
      await arrive(page, one);
      equal(await slugs(page), one.regions, 'regions');
    });
    await check('the first stop of Tab skips to the content', async () => {
      await page.locator('body').focus();
      await tabTo(/^Skip to content$/);
      await page.keyboard.press('Enter');
      equal(await page.evaluate(() => document.activeElement?.id), 'content', 'focus');
    });
    await check('an address and signing out are reached by keyboard', async () => {
      await tabTo(/^Copy the address of/);
      await page.reload();
      await rows(page).first().waitFor();
      await tabTo(/^Account of/);
      await page.keyboard.press('Enter');
      await tabTo(/^Sign out$/);
      await page.keyboard.press('Enter');
      await page.getByText('You are signed out.').waitFor();
    });
    await quiet(ben, 'keyboard');
  }
  await ben.close();

  // --- provider staff --------------------------------------------------------------------------------------
  if (!staff) skip('the federation as staff see it', 'the file has no account with a system role');
  else {
    for (const theme of ['light', 'dark']) {
      const eli = await person(browser, base, { theme });
      const { page } = eli;
      await check(`${staff.email} sees every region of the federation (${theme})`, async () => {
        await page.goto(`${base}/sign-in`);
        await enter(page, staff);
        await secondFactor(eli, staff);
        const table = page.getByRole('table', { name: 'All regions of the federation' });
        await table.locator('tbody th').first().waitFor();
        const shown = await table.locator('th .font-mono').allTextContents();
        equal(regions.map(({ slug }) => slug).filter((slug) => !shown.includes(slug)), [], 'regions missing');
      });
      await check(`federation: names, headings, contrast (${theme})`, async () => equal(await audit(page), [], 'faults'));
      await shoot(page, `federation-${theme}`);
      await check(`a region’s page shows its figures, gateways, history and probes (${theme})`, async () => {
        await page.getByRole('table', { name: 'All regions of the federation' }).locator('tbody tr', { hasText: 'Healthy' }).getByRole('link').first().click();
        for (const name of [/^Gateways of/, /^Probes of/]) await page.getByRole('table', { name }).locator('tbody th').first().waitFor();
        await page.getByRole('img', { name: /probes in the last 24 hours/ }).waitFor();
        equal(await audit(page), [], 'faults');
        await shoot(page, `region-${theme}`);
        if (!staff.roles.includes('system-admin')) return;
        await page.getByRole('button', { name: 'Drain…' }).click();
        await page.getByRole('dialog').getByText('No tenant is newly entitled to it.').waitFor();
        equal(await page.getByRole('button', { name: 'Drain region' }).getAttribute('aria-disabled'), 'true', 'held until the slug is typed');
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
      });
      await check(`the register of tenants leads to a tenant and its entitlements (${theme})`, async () => {
        await page.getByRole('link', { name: 'Tenants' }).click();
        await page.getByRole('searchbox').fill(two.tenant);
        await page.getByRole('searchbox').press('Enter');
        await page.locator('tbody tr', { has: page.getByText(two.tenant, { exact: true }) }).getByRole('link').click();
        // the heading of the list stays until the tenant is there
        await page.getByRole('heading', { level: 1 }).filter({ hasNotText: /^Tenants$/ }).waitFor();
        if (staff.roles.includes('system-admin')) {
          const entitled = page.getByRole('table', { name: /^Regions that .* may use$/ });
          await entitled.locator('tbody th').first().waitFor();
          const shown = await entitled.locator('tbody th').allTextContents();
          equal(two.regions.filter((slug) => !shown.includes(slug)), [], 'regions missing');
        }
        equal(await audit(page), [], 'faults');
        await shoot(page, `tenant-${theme}`);
      });
      await check(`one’s own account shows the second factor and this session (${theme})`, async () => {
        await page.goto(`${base}/account`);
        await page.getByText('This one').first().waitFor();
        await page.getByRole('region', { name: 'Second factor' }).getByText(staff.totp_secret ? 'In use' : 'None', { exact: true }).waitFor();
        equal(await audit(page), [], 'faults');
        await shoot(page, `account-${theme}`);
      });
      await check(`a new password that is too short is refused before it is sent (${theme})`, async () => {
        await page.getByRole('link', { name: 'Change password…' }).click();
        await page.getByLabel('Present password').fill(staff.password);
        await page.getByLabel('New password').fill('too short');
        await page.keyboard.press('Enter');
        await page.getByText('Too short: 9 of at least 12 characters.').first().waitFor();
        equal(await page.getByLabel('Code', { exact: true }).count(), staff.totp_secret ? 1 : 0, 'fields for a code');
        equal(await audit(page), [], 'faults');
        await shoot(page, `password-${theme}`);
      });
      await quiet(eli, `federation (${theme})`);
      await eli.close();
    }
  }

  await more?.({ base, browser, check, quiet, shoot });
  await browser.close();
  return finish();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const at = args.indexOf('--shots');
  const shots = at < 0 ? undefined : args.splice(at, 2)[1];
  if (args.length !== 1) {
    console.error('usage: node run.mjs federation.json [--shots folder]');
    process.exit(2);
  }
  process.exitCode = await run(federation(await readFile(args[0], 'utf8')), { shots });
}
