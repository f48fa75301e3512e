import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Database from 'libsql';

/** How the double treats the next requests: as a server does, with a 503, or doing the work and then losing the answer. */
export type Mood = 'answer' | 'refuse' | 'lose';

export interface HranaDouble {
  readonly url: string;
  /** Requests that did work, until now. */
  readonly pipelines: number;
  /** The next `count` pipelines have this mood, Infinity by default; those after it are answered. */
  mood(mood: Mood, count?: number): void;
  /** The next pipelines have these moods, one each; those after them are answered. */
  moods(...list: readonly Mood[]): void;
  close(): Promise<void>;
}

type Step = { condition?: Condition; stmt: Stmt };
type Condition = { type: string; step?: number; cond?: Condition; conds?: Condition[] };
type Stmt = { sql: string; args?: { type: string; value?: string | number }[] };

/** libSQL's protocol (Hrana 2 over HTTP, JSON; streams that live for one request) over a database file. */
export async function startHrana(path: string, authToken?: string): Promise<HranaDouble> {
  let db = new Database(path, { timeout: 5_000 });
  let mood: Mood = 'answer';
  let left = 0;
  let listed: Mood[] = [];
  let pipelines = 0;

  function execute({ sql, args = [] }: Stmt) {
    const values = args.map(({ type, value }) => {
      if (type === 'null') return null;
      return type === 'text' ? value : Number(value);
    });
    const statement = db.prepare(sql);
    if (!statement.reader) {
      statement.run(...(values as never[]));
      return { cols: [], rows: [], affected_row_count: 0, last_insert_rowid: null };
    }
    const cols = statement.columns().map(({ name }) => ({ name }));
    const rows = (statement.raw().all(...(values as never[])) as unknown[][]).map((row) => row.map(encode));
    return { cols, rows, affected_row_count: 0, last_insert_rowid: null };
  }

  function batch(steps: Step[]) {
    const results: (object | null)[] = [];
    const errors: (object | null)[] = [];
    const holds = (condition: Condition | undefined): boolean => {
      if (!condition) return true;
      if (condition.type === 'ok') return results[condition.step as number] != null;
      if (condition.type === 'error') return errors[condition.step as number] != null;
      if (condition.type === 'not') return !holds(condition.cond);
      if (condition.type === 'is_autocommit') return !db.inTransaction;
      return (condition.conds as Condition[]).every(holds);
    };
    for (const [i, { condition, stmt }] of steps.entries()) {
      results[i] = null;
      errors[i] = null;
      if (!holds(condition)) continue;
      try {
        results[i] = execute(stmt);
      } catch (error) {
        const { message, code } = error as { message: string; code: string };
        errors[i] = { message: `SQLite error: ${message}`, code };
      }
    }
    return { step_results: results, step_errors: errors };
  }

  function pipeline(requests: { type: string; stmt?: Stmt; batch?: { steps: Step[] } }[]) {
    const sql = new Map<number, string>();
    const named = (stmt: Stmt & { sql_id?: number }) => ({ ...stmt, sql: stmt.sql ?? sql.get(stmt.sql_id as number) });
    const answers = requests.map((request) => {
      if (request.type === 'store_sql')
        sql.set((request as never as { sql_id: number }).sql_id, (request as never as Stmt).sql);
      if (request.type === 'execute') return { type: 'execute', result: execute(named(request.stmt as Stmt)) };
      if (request.type !== 'batch') return { type: request.type };
      const steps = (request.batch as { steps: Step[] }).steps.map((step) => ({ ...step, stmt: named(step.stmt) }));
      return { type: 'batch', result: batch(steps) };
    });
    // libsql may leave a failed statement unreset: a new connection for the next request.
    if (db.inTransaction) db.exec('ROLLBACK');
    db.close();
    db = new Database(path, { timeout: 5_000 });
    return { baton: null, base_url: null, results: answers.map((response) => ({ type: 'ok', response })) };
  }

  const server = createServer((request, response) => {
    if (authToken !== undefined && request.headers.authorization !== `Bearer ${authToken}`)
      return send(response, 401, {});
    if (request.method === 'GET') return send(response, request.url === '/v2' ? 200 : 404, {});
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const now = listed.shift() ?? (left > 0 ? mood : 'answer');
      left -= 1;
      if (now === 'refuse') return send(response, 503, {});
      pipelines += 1;
      const answer = pipeline(JSON.parse(Buffer.concat(chunks).toString()).requests);
      return now === 'lose' ? response.destroy() : send(response, 200, answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get pipelines() {
      return pipelines;
    },
    mood(next, count = Number.POSITIVE_INFINITY) {
      mood = next;
      left = count;
    },
    moods(...list) {
      listed = [...list];
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) =>
        server.close(() => {
          db.close();
          resolve();
        }),
      );
    },
  };
}

function encode(value: unknown): object {
  if (value === null) return { type: 'null' };
  if (typeof value === 'number') {
    return Number.isInteger(value) ? { type: 'integer', value: String(value) } : { type: 'float', value };
  }
  return { type: 'text', value };
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
