import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { problemOf } from '../src/api/problem';
import { links, returnPath } from '../src/links';
import { lookOf, passportTier } from '../src/regions/state';
import { setTheme } from '../src/theme';
import { absolute, ago, duration, noteServerDate, serverNow } from '../src/time';

test('every link is a path of this origin', () => {
  expect(links).toEqual({ home: '/', signIn: '/sign-in', device: '/device', resetPassword: '/reset-password' });
});

test.each([
  ['/', '/'],
  ['/tenants?page=2#top', '/tenants?page=2#top'],
  ['/oauth2/authorize?client_id=a&state=b%26c', '/oauth2/authorize?client_id=a&state=b%26c'],
  ['//evil.example', '/'],
  ['/\\evil.example', '/'],
  ['/\t/evil.example', '/'],
  ['/.//evil.example', '/'],
  ['/x/..//evil.example', '/'],
  ['https://evil.example', '/'],
  ['javascript:alert(1)', '/'],
  ['/sign-in?return=/', '/'],
  ['', '/'],
  [undefined, '/'],
  [['/a'], '/'],
])('a return path of %j leads to %j', (given, path) => {
  expect(returnPath(given)).toBe(path);
  expect(new URL(returnPath(given), 'https://exarch.example').origin).toBe('https://exarch.example');
});

test('ages are one unit, rounded down, and never of the future', () => {
  expect([0, 999, 59_999, 60_000, 3_599_999, 7_200_000, 172_800_000, -5].map(duration)).toEqual([
    '0 s', '0 s', '59 s', '1 min', '59 min', '2 h', '2 d', '0 s',
  ]);
  expect(ago(-3_000)).toBe('just now');
  expect(ago(61_000)).toBe('1 min ago');
});

test('an absolute time is told in UTC too', () => {
  expect(absolute(new Date('2026-03-01T12:00:05.900Z'))).toContain('2026-03-01 12:00:05 UTC');
});

test('the server’s clock counts when the browser’s is wrong, and a second of difference is none', () => {
  const now = Date.parse('2026-03-01T12:00:00Z');
  noteServerDate('Sun, 01 Mar 2026 12:10:00 GMT', now);
  expect(serverNow(now)).toBe(now + 600_000);
  noteServerDate('nonsense', now);
  expect(serverNow(now)).toBe(now + 600_000);
  noteServerDate('Sun, 01 Mar 2026 12:00:01 GMT', now);
  expect(serverNow(now)).toBe(now);
});

test('a problem keeps its sentence, slug, request and time to retry', () => {
  const now = 1_000_000;
  const response = new Response('', { status: 429, headers: { 'retry-after': '7', 'x-request-id': 'req_h' } });
  expect(problemOf(response, { type: 'urn:exarch:problem:too-many', title: 'T', detail: 'D.', request_id: 'req_b' }, now)).toMatchObject({
    slug: 'too-many', status: 429, sentence: 'D.', requestId: 'req_b', retryAt: now + 7_000,
  });
  expect(problemOf(response, '<html>', now)).toMatchObject({ slug: 'other', sentence: 'Too many tries in a short time.', requestId: 'req_h' });
});

test('every state of the design has a word and an icon of its own; a new one keeps its name', () => {
  const states = ['registered', 'joining', 'active', 'draining', 'removed', 'unknown', 'healthy', 'degraded', 'unreachable'];
  expect(new Set(states.map((state) => lookOf(state).word)).size).toBe(states.length);
  expect(new Set(states.map((state) => lookOf(state).Icon)).size).toBe(states.length);
  expect(lookOf('quarantined')).toMatchObject({ word: 'quarantined', tone: 'off' });
});

test('passport tiers change exactly at their bounds', () => {
  expect([900, 901, 86_400, 86_401, 259_200, 259_201].map(passportTier)).toEqual(['fresh', 'stale', 'stale', 'old', 'old', 'expired']);
});

const page = document.documentElement;
afterEach(() => setTheme('system'));

test('a chosen theme is kept and is applied before the first paint', () => {
  const early = () => new Function(readFileSync('public/theme.js', 'utf8'))();
  setTheme('dark');
  delete page.dataset.theme;
  early();
  expect(page.dataset.theme).toBe('dark');
  setTheme('system');
  early();
  expect(page.dataset.theme).toBeUndefined();
});
