import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { eventReader } from '../src/api/events';
import { problemOf } from '../src/api/problem';
import { offeredBy } from '../src/api/may';
import { links, returnPath } from '../src/links';
import { bars, ceiling, line, share, slotAt, totals } from '../src/regions/chart';
import { instancesOf } from '../src/regions/instances';
import { lookOf, passportTier } from '../src/regions/state';
import { beyond, covered, subjectOf } from '../src/roles/words';
import { programOf } from '../src/sessions/agent';
import { tenantsSearch } from '../src/tenants/search';
import { lookOfTenant, stepsFrom } from '../src/tenants/state';
import { setTheme } from '../src/theme';
import { absolute, ago, duration, noteServerDate, serverNow } from '../src/time';
import { localMinute, sentence } from '../src/ui/form-state';
import { slugOf } from '../src/ui/slug';
import { catalogue, roles } from '../mock/roles.js';

test('every link is a path of this origin', () => {
  for (const link of Object.values(links)) expect(link).toMatch(/^\/([a-z$-]+(\/[a-z$-]+)*)?$/);
  expect(new Set(Object.values(links)).size).toBe(Object.values(links).length);
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

test('what pages decide by is in the server’s own table, and the table of permissions is read whole', () => {
  const names = catalogue().map(({ name }) => name);
  expect(offeredBy.filter((permission) => !names.includes(permission))).toEqual([]);
  const held = [...roles().values()].flatMap((permissions) => [...permissions]);
  expect([...new Set(held)].sort()).toEqual([...names].sort());
});

test('permissions are called by what they act on, and a role covers what its scope covers', () => {
  expect(['bootstrap_token.create', 'cluster.list'].map(subjectOf)).toEqual(['Bootstrap token', 'Cluster']);
  const all = catalogue().map((entry) => ({ ...entry, held: true }));
  expect(new Set(covered('tenant', all).map(({ scope }) => scope))).toEqual(new Set(['tenant', 'cluster']));
  expect(new Set(covered('cluster', all).map(({ scope }) => scope))).toEqual(new Set(['cluster']));
  expect(beyond({ permissions: ['a.b', 'c.d'] }, ['c.d'])).toEqual(['a.b']);
});

test('values that were refused keep their pointers; what is no pointer is left out', () => {
  const problem = problemOf(new Response('', { status: 422 }), { errors: [{ pointer: '/slug', reason: 'is reserved' }, { pointer: 1 }, 'x'] }, 0);
  expect(problem.errors).toEqual([{ pointer: '/slug', reason: 'is reserved' }]);
  expect(sentence('is reserved')).toBe('Is reserved.');
});

test('a slug follows a name in any script that has letters of its own', () => {
  expect(['ÉU  Central 2!', '--x--', 'Łódź', '東京'].map(slugOf)).toEqual(['eu-central-2', 'x', 'odz', '']);
  expect(slugOf('a'.repeat(80))).toHaveLength(63);
});

test('a moment is shown as the local minute and reads back as itself', () => {
  const at = '2026-03-01T12:34:00.000Z';
  expect(new Date(localMinute(at)).toISOString()).toBe(at);
  expect([localMinute(undefined), localMinute('nonsense')]).toEqual(['', '']);
});

test('what stands in the address of the register is checked', () => {
  expect(tenantsSearch({ search: '  acme ', state: 'suspended' })).toEqual({ search: 'acme', state: 'suspended' });
  expect(tenantsSearch({ search: ['x'], state: 'gone' })).toEqual({ search: undefined, state: undefined });
});

test('every state of a tenant has a word of its own and only the steps that the server takes', () => {
  const states = ['active', 'suspended(billing)', 'suspended(incident)', 'suspended(hold)', 'deleting', 'deleted'];
  expect(new Set(states.map((state) => lookOfTenant(state).word)).size).toBe(states.length);
  expect(states.map((state) => stepsFrom(state).join())).toEqual(['suspend,delete', 'resume,suspend,delete', 'resume,suspend,delete', 'resume,suspend', 'restore', '']);
  expect([lookOfTenant('frozen').word, stepsFrom('frozen')]).toEqual(['frozen', []]);
});

test('events are read in whatever pieces they come', () => {
  const sent = 'event: page\ndata: {"a":1}\n\n:\n\nretry: 1000\r\nevent: added\r\ndata: x\r\ndata: y\r\n\r\n';
  const expected = [{ name: 'page', data: '{"a":1}' }, { name: 'added', data: 'x\ny' }];
  for (let at = 0; at <= sent.length; at += 1) {
    const read = eventReader();
    expect([...read(sent.slice(0, at)), ...read(sent.slice(at))]).toEqual(expected);
  }
});

const slot = (at: number, more = {}) => ({ at: new Date(at * 1000).toISOString(), good: 1, failing: 0, missed: 0, ...more });
const frame = { width: 120, height: 100, left: 10, right: 10, top: 0, bottom: 0 };

test('a chart has a bar where a slot is, a broken line where nothing was measured, and an axis that holds the most', () => {
  const summary = { from: slot(0).at, until: slot(100).at, slot_seconds: 10, slots: [slot(0, { latency_ms: 5 }), slot(10, { latency_ms: 7 }), slot(20, { missed: 1, good: 0 }), slot(90, { latency_ms: 9 })] };
  const list = bars(summary, frame);
  expect(list.map(({ x, width }) => [x, width])).toEqual([[10, 10], [20, 10], [30, 10], [100, 10]]);
  expect(line(list, ({ latency_ms }: { latency_ms?: number | null }) => latency_ms, (ms) => 100 - ms)).toBe('M10 95L15 95L25 93M100 91L105 91');
  expect([0, 0.4, 1, 11, 20, 21, 181].map(ceiling)).toEqual([10, 0.5, 1, 20, 20, 50, 200]);
  expect([0, 26, 64, 66, 500].map((x) => slotAt(list, x))).toEqual([0, 1, 2, 2, 3]);
  expect(slotAt([], 5)).toBeUndefined();
});

test('shares are rounded down, so that all of them means every one', () => {
  expect([share(1, 1), share(2879, 2880), share(1, 2), share(0, 0)]).toEqual(['100 %', '99.9 %', '50 %', '0 %']);
  expect(totals([slot(0, { latency_ms: 5 }), slot(1, { latency_ms: 9 }), slot(2, { good: 0, missed: 2 })])).toEqual({ probes: 4, good: 2, failing: 0, missed: 2, median: 9 });
});

test('an answer of a region is read with care', () => {
  const answer = { instances: [{ id: 'ins_1', software: '0.1.0', passport: [1, 7], heartbeat_age: 2 }, { software: 'x' }, 'y', { id: 'ins_2', passport: null }] };
  expect(instancesOf(answer)).toEqual([
    { id: 'ins_1', software: '0.1.0', passport: 7, heartbeat_age: 2 },
    { id: 'ins_2', software: 'unknown', passport: undefined, heartbeat_age: 0 },
  ]);
  expect([null, 'x', {}, { instances: {} }].map(instancesOf)).toEqual([[], [], [], []]);
});

test('programs are called as people know them', () => {
  expect([
    'exarch/0.1.0',
    'Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36 Edg/156.0',
    'curl/8.0',
    undefined,
  ].map(programOf)).toEqual(['exarch command line', 'Firefox on Linux', 'Edge on Windows', 'curl/8.0', 'Unknown program']);
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
