// Prints what a first visit loads, and what is loaded later with the page that needs it; fails when the first is over budget.
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const BUDGET = 250 * 1024;
const files = readdirSync('dist', { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const text = readFileSync(path);
    return { path, text, raw: text.length, gzip: gzipSync(text, { level: 9 }).length };
  })
  .sort((a, b) => b.gzip - a.gzip);

// The page, what it names, and what its style sheets name. A chunk that only scripts name is fetched when it is needed.
const page = files.find(({ path }) => path === join('dist', 'index.html'));
const named = (by) => files.filter((file) => file !== by && by.text.includes(basename(file.path)));
const first = new Set([page, ...named(page)]);
for (const file of [...first].filter(({ path }) => path.endsWith('.css'))) for (const each of named(file)) first.add(each);

const kib = (n) => `${(n / 1024).toFixed(1)} KiB`.padStart(10);
const print = (title, list) => {
  console.log(title);
  for (const file of list) console.log(`${kib(file.raw)} ${kib(file.gzip)} gzip  ${file.path}`);
};
print('first visit', [...first]);
print('later', files.filter((file) => !first.has(file)));
const total = [...first].reduce((sum, file) => sum + file.gzip, 0);
console.log(`${' '.repeat(10)} ${kib(total)} gzip  on a first visit (budget ${BUDGET / 1024} KiB)`);
if (first.size < 4) {
  console.error('the page names no script and no style sheet: this script no longer understands it');
  process.exit(1);
}
if (total > BUDGET) {
  console.error('over budget: load what the first page does not need later, or leave it out');
  process.exit(1);
}
