import type { ReactNode } from 'react';
import type { Rows } from '../api/pages';
import { Trouble } from '../shell/Trouble';
import { Button } from './Button';
import { Card } from './Card';
import { Table, type Column } from './Table';

type Props<Row> = {
  list: Rows<Row>;
  caption: string;
  columns: Column<Row>[];
  rowKey: (row: Row) => string;
  /** What cannot be loaded, for the heading of a failure. */
  what: string;
  /** Shown in the place of no rows: why, and what to do. */
  empty: ReactNode;
};

/** A list in the server's order, with the way to its next page, or why it is not there. */
export function ListCard<Row>({ list, caption, columns, rowKey, what, empty }: Props<Row>) {
  return (
    <Card>
      {list.problem ? (
        <Trouble title={`${what} could not be loaded`} problem={list.problem} again={list.again} />
      ) : list.rows?.length === 0 ? (
        empty
      ) : (
        <Table caption={caption} columns={columns} rows={list.rows} rowKey={rowKey} stale={list.live.stale} />
      )}
      {list.more && (
        <div className="border-t border-line p-2 text-center">
          <Button look="quiet" busy={list.fetchingMore && 'Loading…'} onClick={list.more}>
            Load more
          </Button>
        </div>
      )}
    </Card>
  );
}
