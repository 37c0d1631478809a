// Which role holds what: read from the server's own golden table, so that the mock refuses what the server refuses.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @returns {Map<string, Set<string>>} permissions by role */
export function roles() {
  const [head = '', ...rows] = readFileSync(join(import.meta.dirname, '../../../common/authz/rbac.txt'), 'utf8').trim().split('\n');
  const [, , ...names] = head.split(/\s+/);
  const table = new Map(names.map((name) => [name, new Set()]));
  for (const row of rows) {
    const [permission = '', , ...marks] = row.split(/\s+/);
    marks.forEach((mark, n) => mark === 'x' && table.get(names[n] ?? '')?.add(permission));
  }
  return table;
}
