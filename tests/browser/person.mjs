// A person at a browser: a fresh profile, and everything the browser complains about kept for the end.
import { createHmac } from 'node:crypto';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync',
];

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS });

/** `base` is the global's URL; `theme` is what the system prefers. */
export async function person(browser, base, { theme = 'light', width = 1360, height = 860 } = {}) {
  const { hostname, origin } = new URL(base);
  const context = await browser.newContext({
    colorScheme: theme,
    viewport: { width, height },
    // A federation on this machine signs its own certificates; anywhere else they must be good.
    ignoreHTTPSErrors: ['localhost', '127.0.0.1', '::1'].includes(hostname),
  });
  context.setDefaultTimeout(10_000);
  const complaints = [];
  const allowed = new Set();
  let cut = false;

  await context.exposeBinding('__complain', (_, text) => complaints.push(text));
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      globalThis.__complain(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });

  function watch(page) {
    page.on('pageerror', (error) => complaints.push(`page: ${error}`));
    page.on('console', (message) => {
      // Refused requests are judged below, where their path is known.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(`console: ${message.text()}`);
    });
    page.on('requestfailed', (request) => {
      const why = request.failure()?.errorText;
      if (!cut && why !== 'net::ERR_ABORTED') complaints.push(`request: ${request.url()} ${why}`);
    });
    page.on('request', (request) => {
      const to = new URL(request.url());
      if (to.origin !== origin && to.protocol !== 'blob:') complaints.push(`other origin: ${request.url()}`);
    });
    page.on('response', (response) => {
      const { pathname } = new URL(response.url());
      const key = `${response.status()} ${pathname}`;
      if (response.status() >= 400 && !allowed.has(key)) complaints.push(`answer: ${key}`);
    });
  }
  context.on('page', watch);

  return {
    context,
    page: await context.newPage(),
    /** Answers that the next steps provoke on purpose: `'401 /v1/me'`. */
    allow: (...keys) => keys.forEach((key) => allowed.add(key)),
    disallow: (...keys) => keys.forEach((key) => allowed.delete(key)),
    /** Cuts the page off from the API, or joins it again. */
    async cutOff(now) {
      cut = now;
      // also what is under way, which a route does not reach
      await context.setOffline(now);
      if (now) await context.route('**/v1/**', (route) => route.abort('connectionrefused'));
      else await context.unroute('**/v1/**');
    },
    /** Complaints since the last call. */
    complaints: () => complaints.splice(0),
    close: () => context.close(),
  };
}

/** Fills in the sign-in form as it stands and sends it. */
export async function enter(page, { email, password }) {
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

const used = new Set();

/** Six digits of RFC 6238 that this run has not given yet: a server takes each once, and those next to the present one. */
function codeOf(secret) {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const now = Math.floor(Date.now() / 30_000);
  const step = [now, now - 1, now + 1].find((each) => !used.has(`${secret} ${each}`));
  if (step === undefined) throw new Error('a fourth sign-in of one account within half a minute');
  used.add(`${secret} ${step}`);
  const message = Buffer.alloc(8);
  message.writeBigInt64BE(BigInt(step));
  const tag = createHmac('sha1', key).update(message).digest();
  const number = tag.readUInt32BE(tag[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

/** Gives a code of the account's app, when it has one. A code that an earlier run has used is refused: then the next one. */
export async function secondFactor({ page, allow }, { totp_secret }) {
  if (!totp_secret) return;
  const field = page.getByLabel('Six-digit code');
  await field.waitFor();
  allow('401 /v1/auth/next');
  for (let n = 0; n < 3; n += 1) {
    await field.fill(codeOf(totp_secret));
    const answered = page.waitForResponse('**/v1/auth/next');
    await page.getByRole('button', { name: 'Verify' }).click();
    if ((await answered).ok()) return;
  }
  throw new Error('no code of the app is taken');
}

/** Waits for the regions; on the way chooses the account's tenant when the server asks for one. */
export async function arrive(page, { tenant }) {
  const home = page.getByRole('heading', { name: 'Regions', level: 1 });
  const choice = page.getByRole('heading', { name: 'Choose a tenant' });
  await home.or(choice).waitFor();
  if (await choice.isVisible()) {
    await page.locator('label', { has: page.getByText(tenant, { exact: true }) }).click();
    await page.getByRole('button', { name: 'Continue' }).click();
    await home.waitFor();
  }
  await page.getByRole('table', { name: 'Regions you may enter' }).locator('tbody tr:not([aria-hidden])').first().waitFor();
}

export async function signIn(page, base, account) {
  await page.goto(`${base}/sign-in`);
  await enter(page, account);
  await arrive(page, account);
}
