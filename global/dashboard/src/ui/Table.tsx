import clsx from 'clsx';
import { ArrowDown, ArrowUp } from 'lucide-react';
import { useState, type ReactNode } from 'react';

type Value = string | number | null | undefined;

export type Column<Row> = {
  key: string;
  header: string;
  cell: (row: Row) => ReactNode;
  /** Makes the column sortable; rows without a value come last in both directions. */
  sort?: (row: Row) => Value;
  align?: 'right';
  /** Share of the width, as a class; columns without one share the rest. */
  width?: string;
  /** Left out where the screen is too narrow for it. */
  wide?: boolean;
  /** The cell that names the row. */
  rowHeader?: boolean;
};

type Props<Row> = {
  caption: string;
  columns: Column<Row>[];
  rows: Row[] | undefined;
  rowKey: (row: Row) => string;
  /** Left out for the order in which the rows come. */
  initialSort?: string;
  /** Old figures: still readable, and visibly not of now. */
  stale?: boolean;
};

/** `rows` undefined means not loaded yet: the table keeps its place with empty bars. */
export function Table<Row>({ caption, columns, rows, rowKey, initialSort, stale = false }: Props<Row>) {
  const [sort, setSort] = useState({ key: initialSort, down: false });
  const by = columns.find((column) => column.key === sort.key)?.sort;
  const sorted = rows && by ? [...rows].sort((a, b) => order(by(a), by(b), sort.down) || order(rowKey(a), rowKey(b), false)) : rows;
  return (
    <div className="relative overflow-x-auto">
      <table className={clsx('w-full border-collapse text-left', stale && 'text-mute')} aria-busy={rows === undefined}>
        <caption className="sr-only">{caption}</caption>
        <thead className="text-sm text-mute">
          <tr className="border-b border-line">
            {columns.map((column) => (
              <th
                key={column.key}
                scope="col"
                aria-sort={sort.key === column.key && column.sort ? (sort.down ? 'descending' : 'ascending') : undefined}
                className={clsx('px-2 py-2 font-medium whitespace-nowrap first:pl-3 last:pr-3 sm:px-3 sm:first:pl-4 sm:last:pr-4', column.width, column.wide && 'max-md:hidden', column.align === 'right' && 'text-right')}
              >
                {column.sort ? (
                  <button
                    type="button"
                    className={clsx('group -mx-1 inline-flex items-center align-middle gap-1 rounded px-1 hover:text-ink', column.align === 'right' && 'flex-row-reverse')}
                    onClick={() => setSort({ key: column.key, down: sort.key === column.key && !sort.down })}
                  >
                    {column.header}
                    <SortMark shown={sort.key === column.key} down={sort.down} />
                  </button>
                ) : (
                  <span className="inline-flex align-middle">{column.header}</span>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted === undefined
            ? [0, 1, 2].map((row) => (
                <tr key={row} className="border-b border-line last:border-0" aria-hidden>
                  {columns.map((column, n) => (
                    <td key={column.key} className={clsx('px-2 py-3.5 first:pl-3 last:pr-3 sm:px-3 sm:first:pl-4 sm:last:pr-4', column.wide && 'max-md:hidden')}>
                      <div className={clsx('h-3 animate-pulse rounded bg-sunken', n === 0 ? 'w-36' : 'w-16', column.align === 'right' && 'ml-auto')} />
                    </td>
                  ))}
                </tr>
              ))
            : sorted.map((row) => (
                <tr key={rowKey(row)} className="border-b border-line last:border-0">
                  {columns.map((column) => {
                    const Cell = column.rowHeader ? 'th' : 'td';
                    return (
                      <Cell
                        key={column.key}
                        scope={column.rowHeader ? 'row' : undefined}
                        className={clsx('px-2 py-2 align-middle font-normal first:pl-3 last:pr-3 sm:px-3 sm:first:pl-4 sm:last:pr-4', column.wide && 'max-md:hidden', column.align === 'right' && 'text-right tabular-nums')}
                      >
                        {column.cell(row)}
                      </Cell>
                    );
                  })}
                </tr>
              ))}
        </tbody>
      </table>
    </div>
  );
}

function SortMark({ shown, down }: { shown: boolean; down: boolean }) {
  const Icon = down ? ArrowDown : ArrowUp;
  return <Icon size={13} aria-hidden className={shown ? '' : 'opacity-0 group-hover:opacity-60'} />;
}

function order(a: Value, b: Value, down: boolean): number {
  if (a == null || b == null) return Number(a == null) - Number(b == null);
  const sign = typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true });
  return down ? -sign : sign;
}
