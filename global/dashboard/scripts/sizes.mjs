// Prints what a first visit loads and fails when it is over budget.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const BUDGET = 250 * 1024;
const files = readdirSync('dist', { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    return { path, raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
  })
  .sort((a, b) => b.gzip - a.gzip);
const total = files.reduce((sum, file) => sum + file.gzip, 0);
const kib = (n) => `${(n / 1024).toFixed(1)} KiB`.padStart(10);

for (const file of files) console.log(`${kib(file.raw)} ${kib(file.gzip)} gzip  ${file.path}`);
console.log(`${' '.repeat(10)} ${kib(total)} gzip  in all (budget ${BUDGET / 1024} KiB)`);
if (total > BUDGET) {
  console.error('over budget: load what the first page does not need later, or leave it out');
  process.exit(1);
}
