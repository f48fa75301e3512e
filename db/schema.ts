import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** One row, id 1: which schema the database has, and the revision of its configuration. */
export const meta = sqliteTable('meta', {
  id: integer('id').primaryKey(),
  schema: integer('schema').notNull(),
  revision: integer('revision').notNull(),
});

/** The routes as they are now. `id` is in normal form; `options` holds the other fields as JSON, null when there are none. */
export const routes = sqliteTable(
  'routes',
  {
    id: text('id').primaryKey(),
    target: text('target').notNull(),
    options: text('options'),
    /** The revision that last wrote this row. */
    revision: integer('revision').notNull(),
    /** Epoch ms. */
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [index('routes_by_revision').on(table.revision)],
);

/** The change log: who made which revision, when and why. Bounded: see `logLimits` in routes.ts. */
export const revisions = sqliteTable('revisions', {
  revision: integer('revision').primaryKey(),
  /** Made anew for each commit: tells whether a commit whose answer was lost had been stored. */
  commitId: text('commit_id').notNull(),
  at: integer('at').notNull(),
  actor: text('actor').notNull(),
  reason: text('reason'),
  /** How many rows of `route_changes` it has. */
  changes: integer('changes').notNull(),
});

/** What a revision changed. `value` is the whole route as JSON, null when it was removed. */
export const routeChanges = sqliteTable(
  'route_changes',
  {
    revision: integer('revision').notNull(),
    routeId: text('route_id').notNull(),
    value: text('value'),
  },
  (table) => [primaryKey({ columns: [table.revision, table.routeId] })],
);
